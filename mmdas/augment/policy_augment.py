"""An augmentation policy as a step on the batches of a training."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AUGMENT_OPERATIONS, Augmentation, AugmentOperation, AugmentPolicy
from mmdas.search.augmentation.apply import IGNORE_INDEX

from .colour_augment import ColourAugment
from .progress import training_progress


@AUGMENTS.register_module()
class PolicyAugment(ColourAugment):
    """Augment batches as a policy says, each image for itself; labels of segmentation follow.

    Images and labels stay on their device. A policy with a trajectory is followed along the training.

    Args:
        policy: file of the policy, its content as a dict, or the policy.
        ignore_index: see :class:`ColourAugment`.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it is no augmentation policy.
    """

    def __init__(self, policy: str | Path | Mapping | AugmentPolicy, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index)
        self.augmentation = Augmentation(read_policy(policy), ignore_index)

    @property
    def operations(self) -> list[AugmentOperation]:
        """Those of the policy."""
        return [AUGMENT_OPERATIONS[name] for name in self.augmentation.policy.operations]

    def augment(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Draw and apply."""
        return self.augmentation(images, labels, training_progress())


def read_policy(policy: str | Path | Mapping | AugmentPolicy) -> AugmentPolicy:
    """A policy from whatever names it.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it is no augmentation policy.
    """
    if isinstance(policy, AugmentPolicy):
        return replace(policy)
    return AugmentPolicy.from_dict(policy) if isinstance(policy, Mapping) else AugmentPolicy.load(policy)
