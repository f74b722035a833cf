"""What the data preprocessors of all toolboxes share: the step from the normalised image to the clip."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from mmdas.cell import Policy, PolicyClip
from mmdas.ops.clip import repeat_image
from mmdas.registry import MODELS


class ImageToClip:
    """Mixin of a data preprocessor that ends its ``forward`` with an image-to-clip step.

    The options ``num_frames``, ``cell`` and ``policy`` are taken before the parent's, which all keep their meaning.

    Args:
        num_frames: T >= 1.
        cell: config of the relaxed cell while searching, ``dict(type='mmdas.DASCell', ...)``; ``num_frames``, ``mean``
            and ``std`` are filled in.
        policy: file of a policy, or its content as a dict, after a search.
            Neither: the clip repeats the image.

    Raises:
        ValueError: for both ``cell`` and ``policy``, or a number of frames that differs from ``num_frames``.
    """

    def __init__(
        self,
        *args,
        num_frames: int = 1,
        cell: Mapping | None = None,
        policy: str | Path | Mapping | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if num_frames < 1:
            raise ValueError(f'data_preprocessor.num_frames must be at least 1, got {num_frames}')
        if cell is not None and policy is not None:
            raise ValueError('data_preprocessor takes cell (while searching) or policy (afterwards), not both')
        self.num_frames = num_frames
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

    def _build_cell(self, cell: Mapping) -> nn.Module:
        self._check_frames(cell.get('num_frames', self.num_frames), 'data_preprocessor.cell.num_frames')
        return MODELS.build({**cell, 'num_frames': self.num_frames, **self._normalisation()})

    def _build_policy(self, policy: str | Path | Mapping) -> PolicyClip:
        inline = isinstance(policy, Mapping)
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
