"""What a checkpoint remembers of the clip that its model was trained with."""

from collections.abc import Callable
from typing import Any

from mmengine.logging import print_log

from mmdas.models.settings import Recorded, decode
from mmdas.search.das import Policy, PolicyClip, PolicyError
from mmdas.search.das.operation import Size
from mmdas.search.das.policy import SCHEMA_VERSION

from .absent_policy import AbsentPolicy
from .clip_sizes import NotedSizes, as_size, as_text
from .operation_samples import Samples, as_now, samples_of
from .pixel_values import colour_operations


class ClipRecord(Recorded):
    """The part of a data preprocessor that compares its clip with that of a checkpoint, see :class:`ImageToClip`."""

    place = 'data_preprocessor'
    num_frames: int
    cell: Any
    policy: Any
    max_value: Any
    channel_order: str | None
    _noted: NotedSizes
    _open_reference: bool
    _build_policy: Callable[..., Any]
    device: Any
    training: bool

    @property
    def image_to_clip(self) -> Any:
        """The cell or the policy; None where the clip repeats the image."""
        return self.cell if self.cell is not None else self.policy

    @property
    def training_size(self) -> Size | None:
        """(H, W), the largest sides of what the training has made clips of."""
        return self._noted.training

    def settings(self) -> dict[str, Any]:
        """Frames, the policy or what stands in its place, what its pixels are, and the sizes that count.

        Of a user's operations also what they do, since a policy holds their names alone.
        """
        settings: dict[str, Any] = {'num_frames': self.num_frames, 'policy': self._policy_settings()}
        if self.cell is not None:
            settings['cell'] = {
                'operations': ' '.join(self.cell.operation_names),
                'num_nodes': self.cell.num_nodes,
                'node_reduction': self.cell.node_reduction,
                'ramp': self.cell.transform.ramp,
                'padding': self.cell.transform.padding,
            }
        samples = self._samples()
        if samples:
            settings['own_operations'] = samples
        clip = self.image_to_clip
        if clip is not None:
            settings.update(reference_size=as_text(clip.reference_size), training_size=as_text(self.training_size))
            if colour_operations(clip):
                settings.update(max_value=self.max_value, channel_order=self.channel_order)
        return settings

    def _samples(self) -> Samples:
        return samples_of(self.policy) if isinstance(self.policy, PolicyClip) else {}

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
        """Take up what the config leaves open: the policy of an absent file, and the size that shifts count in."""
        policy, frames = settings.get('policy'), settings.get('num_frames')
        if isinstance(self.policy, AbsentPolicy) and isinstance(policy, dict) and frames == self.num_frames:
            self.policy = (
                self._build_policy(policy, 'the policy of the checkpoint').to(self.device).train(self.training)
            )
        reference, trained = (as_size(settings.get(key)) for key in ('reference_size', 'training_size'))
        same = self._content(settings) == self._content(decode(self.get_extra_state(), self.place))
        if self._open_reference and reference is not None and same:
            if self.image_to_clip.reference_size not in (None, reference):
                print_log(
                    f'shifts count in {reference}, the size of the training of the checkpoint, and not in '
                    f'{self.image_to_clip.reference_size}; reference_size of the policy says another one outright',
                    'current',
                )
            self._noted.reference = self.image_to_clip.reference_size = reference
        self._noted.training = trained or self._noted.training

    @staticmethod
    def _content(settings: dict[str, Any]) -> Any:
        """The policy or cell of settings, whatever its shifts count in."""
        policy = settings.get('policy')
        if not isinstance(policy, dict):
            return policy, settings.get('cell')
        return {key: value for key, value in policy.items() if key not in ('schema_version', 'reference_size')}

    def canonical(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings with what decides the clip, not how it is written down."""
        settings = {key: value for key, value in settings.items() if key != 'training_size'}
        reference = as_size(settings.pop('reference_size', None))
        policy = settings.get('policy')
        if 'own_operations' in settings:
            settings['own_operations'] = as_now(settings['own_operations'], self._samples())
        if not isinstance(policy, dict):
            return settings if reference is None else {**settings, 'reference_size': list(reference)}
        try:
            policy = {**policy, 'schema_version': SCHEMA_VERSION, 'reference_size': reference}
            return {**settings, 'policy': Policy.from_dict(policy, 'the policy of the checkpoint').content()}
        except PolicyError:  # of another release: it differs
            return settings

    def remedy(self) -> str:
        """Where the policy of the training is found."""
        return 'the work directory of its run keeps the config and policy.json, which --policy FILE names'
