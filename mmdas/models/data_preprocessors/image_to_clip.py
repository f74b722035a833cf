"""What the data preprocessors of all toolboxes share: the step from the normalised image to the clip."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmdas.cell import Policy, PolicyClip, PolicyError
from mmdas.models.settings import Recorded
from mmdas.ops.clip import repeat_image
from mmdas.registry import MODELS

from .absent_policy import AbsentPolicy


class ImageToClip(Recorded):
    """Mixin of a data preprocessor that ends its ``forward`` with an image-to-clip step.

    The options ``num_frames``, ``cell`` and ``policy`` are taken before the parent's, which all keep their meaning.

    Args:
        num_frames: T >= 1.
        cell: config of the relaxed cell while searching, ``dict(type='mmdas.DASCell', ...)``; ``num_frames``, ``mean``
            and ``std`` are filled in.
        policy: file of a policy, or its content as a dict, after a search. Where there is no such file, the policy of
            the checkpoint is taken.
            Neither: the clip repeats the image.
        accept_difference: whether weights may be loaded that were trained with another clip. Default: False.

    Raises:
        ValueError: for both ``cell`` and ``policy``, or a number of frames that differs from ``num_frames``; on loading
            weights that were trained with another clip.
        FileNotFoundError: in ``forward``, if there is no policy file and no checkpoint brought a policy.
    """

    place = 'data_preprocessor'

    def __init__(
        self,
        *args,
        num_frames: int = 1,
        cell: Mapping | None = None,
        policy: str | Path | Mapping | None = None,
        accept_difference: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if num_frames < 1:
            raise ValueError(f'data_preprocessor.num_frames must be at least 1, got {num_frames}')
        if cell is not None and policy is not None:
            raise ValueError('data_preprocessor takes cell (while searching) or policy (afterwards), not both')
        self.num_frames = num_frames
        self.accept_difference = accept_difference
        self.cell = self._build_cell(cell) if cell is not None else None
        self.policy = self._build_policy(policy) if policy is not None else None

    def forward(self, data: dict, training: bool = False) -> dict:
        """Parent's steps, then image -> clip: ``inputs`` become (B, T*C, H, W)."""
        data = super().forward(data, training)
        return {**data, 'inputs': self.to_clip(data['inputs'])}

    def to_clip(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) -> clip (B, T*C, H, W)."""
        if self.cell is not None:
            return self.cell(images)
        if self.policy is not None:
            return self.policy(images)
        return repeat_image(images, self.num_frames)

    def settings(self) -> dict[str, Any]:
        """Frames, the policy or what stands in its place, and what a search cell and its policies have in common."""
        settings = {'num_frames': self.num_frames, 'policy': self._policy_settings()}
        if self.cell is not None:
            settings['cell'] = {
                'operations': ' '.join(self.cell.operation_names),
                'num_nodes': self.cell.num_nodes,
                'node_reduction': self.cell.node_reduction,
                'ramp': self.cell.transform.ramp,
                'padding': self.cell.transform.padding,
            }
        return settings

    def _policy_settings(self) -> dict[str, Any] | str:
        if self.cell is not None:
            return 'a search cell'
        if isinstance(self.policy, AbsentPolicy):
            return f'the absent file {self.policy.path}'
        if self.policy is None:
            return 'none, equal frames'
        content = self.policy.policy.to_dict()
        return {key: value for key, value in content.items() if key not in ('origin', 'operations')}

    def adopt(self, settings: dict[str, Any]) -> None:
        """Take the policy of the checkpoint where the file of the config's is absent."""
        policy = settings.get('policy')
        frames = settings.get('num_frames')
        if isinstance(self.policy, AbsentPolicy) and isinstance(policy, dict) and frames == self.num_frames:
            self.policy = self._build_policy(policy).to(self.device).train(self.training)

    def canonical(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings with what decides the clip of a policy, not how it is written down."""
        policy = settings.get('policy')
        if not isinstance(policy, dict):
            return settings
        try:
            return {**settings, 'policy': Policy.from_dict(policy, 'the policy of the checkpoint').content()}
        except PolicyError:  # of another release: it differs
            return settings

    def remedy(self) -> str:
        """Where the policy of the training is found."""
        return 'the work directory of its run keeps the config and policy.json, which --policy FILE names'

    def _build_cell(self, cell: Mapping) -> nn.Module:
        self._check_frames(cell.get('num_frames', self.num_frames), 'data_preprocessor.cell.num_frames')
        return MODELS.build({**cell, 'num_frames': self.num_frames, **self._normalisation()})

    def _build_policy(self, policy: str | Path | Mapping) -> PolicyClip | AbsentPolicy:
        inline = isinstance(policy, Mapping)
        if not inline and not Path(policy).is_file():
            return AbsentPolicy(policy)
        loaded = Policy.from_dict(policy, 'data_preprocessor.policy') if inline else Policy.load(policy)
        self._check_frames(loaded.num_frames, f'num_frames of {"data_preprocessor.policy" if inline else policy}')
        return PolicyClip(loaded, **self._normalisation())

    def _check_frames(self, num_frames: int, name: str) -> None:
        if num_frames != self.num_frames:
            raise ValueError(
                f'{name} is {num_frames}, data_preprocessor.num_frames is {self.num_frames}; set both from one '
                'variable, or search a policy for this number of frames'
            )

    def _normalisation(self) -> dict[str, list[float]]:
        if not self._enable_normalize:  # the images keep their pixel values
            return {'mean': [0.0], 'std': [1.0]}
        return {'mean': self.mean.flatten().tolist(), 'std': self.std.flatten().tolist()}
