"""An augmentation policy as a step on the batches of a training."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AUGMENT_OPERATIONS, Augmentation, AugmentOperation, AugmentPolicy
from mmdas.search.augmentation.apply import IGNORE_INDEX

from .colour_augment import ColourAugment
from .named_policies import NAMES, fixed_policy, what_is_there
from .progress import training_progress


@AUGMENTS.register_module()
class PolicyAugment(ColourAugment):
    """Augment batches as a policy says, each image for itself; labels of segmentation follow.

    Images and labels stay on their device. A policy with a trajectory is followed along the training.

    Args:
        policy: file of the policy, its content as a dict, the policy, or the name of a fixed one, such as
            ``'randaugment'`` (see :func:`~mmdas.augment.named_policies.fixed_policy`). A file may be absent where
            nothing is trained: a test does without it.
        ignore_index: see :class:`ColourAugment`.

    Raises:
        FileNotFoundError: before a training, if there is no such file.
        PolicyError: if it is no augmentation policy.
    """

    def __init__(self, policy: str | Path | Mapping | AugmentPolicy, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index)
        self._policy = policy
        self._augmentation = None if is_absent(policy) else Augmentation(read_policy(policy), ignore_index)

    @property
    def augmentation(self) -> Augmentation:
        """The policy as a function.

        Raises:
            FileNotFoundError: if its file is absent.
        """
        if self._augmentation is None:
            raise FileNotFoundError(f'data_preprocessor.augments: {told_absent(self._policy)}')
        return self._augmentation

    @property
    def operations(self) -> list[AugmentOperation]:
        """Those of the policy; none where its file is absent."""
        if self._augmentation is None:
            return []
        return [AUGMENT_OPERATIONS[name] for name in self._augmentation.policy.operations]

    def use_model(self, model: nn.Module) -> None:
        """Before a training: see that the policy is there.

        Raises:
            FileNotFoundError: if its file is absent.
        """
        self.augmentation  # noqa: B018

    def augment(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Draw and apply."""
        return self.augmentation(images, labels, training_progress())


def read_policy(policy: str | Path | Mapping | AugmentPolicy) -> AugmentPolicy:
    """A policy from whatever names it.

    Raises:
        FileNotFoundError: if there is no such file, and no policy of that name.
        PolicyError: if it is no augmentation policy.
        ValueError: for TrivialAugment by its name, whose shifts need the size of the images.
    """
    if isinstance(policy, AugmentPolicy):
        return replace(policy)
    if isinstance(policy, Mapping):
        return AugmentPolicy.from_dict(policy)
    if is_absent(policy):
        raise FileNotFoundError(told_absent(policy))
    fixed = None if Path(policy).is_file() else fixed_policy(str(policy))
    return fixed or AugmentPolicy.load(policy)


def told_absent(policy: Any) -> str:
    """The message on a policy that is neither a file nor the name of a fixed one."""
    return (
        f'no policy at {policy}: {what_is_there(str(policy))} the work directory of a training keeps its policy as '
        f'augmentation.json, and there are {", ".join(NAMES)}'
    )


def is_absent(policy: str | Path | Mapping | AugmentPolicy) -> bool:
    """Whether it names a file that is not there, and no fixed policy."""
    return isinstance(policy, (str, Path)) and not Path(policy).is_file() and str(policy) not in NAMES
