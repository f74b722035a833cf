"""An augmentation policy as a step on the batches of a training."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AUGMENT_OPERATIONS, Augmentation, AugmentOperation, AugmentPolicy
from mmdas.search.augmentation.apply import IGNORE_INDEX

from .colour_augment import ColourAugment
from .named_policies import NAMED, fixed_policy
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
        self._absent = policy if is_absent(policy) else None
        self._augmentation = None if self._absent else Augmentation(read_policy(policy), ignore_index)

    @property
    def augmentation(self) -> Augmentation:
        """The policy as a function.

        Raises:
            FileNotFoundError: if its file is absent.
        """
        if self._augmentation is None:
            raise FileNotFoundError(
                f'no policy at {self._absent}, which data_preprocessor.augments names; the work directory of a '
                f'training keeps its policy as augmentation.json, and there are {", ".join(NAMED)}'
            )
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
    fixed = None if Path(policy).is_file() else fixed_policy(str(policy))
    return fixed or AugmentPolicy.load(policy)


def is_absent(policy: str | Path | Mapping | AugmentPolicy) -> bool:
    """Whether it names a file that is not there, and no fixed policy."""
    return isinstance(policy, (str, Path)) and not Path(policy).is_file() and str(policy) not in (*NAMED, 'cutout')
