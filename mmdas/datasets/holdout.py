"""The two parts of a training set that a bilevel search needs (DARTS, Liu et al., ICLR 2019, Sec. 3)."""

import copy

import numpy as np
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset

from mmdas.registry import DATASETS

PARTS = ('weights', 'policy')


def holdout_indices(size: int, ratio: float, seed: int) -> dict[str, list[int]]:
    """Deal the indices of a data set out to the weights part and the policy part.

    Args:
        size: Number of samples, >= 2.
        ratio: Fraction of them that goes to the policy part, in (0, 1).
        seed: Of the permutation; the same arguments give the same parts in every process.

    Returns:
        ``{'weights': ..., 'policy': ...}``, disjoint and together 0 .. size - 1, each in the permutation's order, so
        that the first batches of an unshuffled loader are a fair sample of the part.

    Raises:
        ValueError: If ``ratio`` is not in (0, 1), or a part would be empty.
    """
    if not 0 < ratio < 1:
        raise ValueError(f'ratio must be in (0, 1), got {ratio}')
    num_policy = round(ratio * size)
    if not 0 < num_policy < size:
        raise ValueError(
            f'a holdout of {size} samples with ratio {ratio} has {size - num_policy} in the weights part and '
            f'{num_policy} in the policy part; both need one: change ratio or give more data'
        )
    # The stream of RandomState, unlike that of a Generator, is the same in every release of NumPy.
    order = np.random.RandomState(seed).permutation(size).tolist()
    return {'weights': order[num_policy:], 'policy': order[:num_policy]}


def take_part(dataset: object, part: str, ratio: float, seed: int) -> object:
    """The part of a data set, or the wrapper around the part of what it wraps.

    Raises:
        TypeError: If it is neither a ``BaseDataset`` nor a wrapper that joins or repeats some.
        ValueError: If a part would be empty.
    """
    if isinstance(dataset, (ConcatDataset, RepeatDataset, ClassBalancedDataset)):
        wrapper = copy.copy(dataset)  # their constructors refuse a wrapper within a wrapper
        if isinstance(dataset, ConcatDataset):
            wrapper.datasets = [take_part(inner, part, ratio, seed) for inner in dataset.datasets]
        else:
            wrapper.dataset = take_part(dataset.dataset, part, ratio, seed)
        wrapper._fully_initialized = False
        wrapper.full_init()  # counts the samples anew
        return wrapper
    if not isinstance(dataset, BaseDataset):
        raise TypeError(
            f'dataset must be a BaseDataset or its config, or one of the wrappers that join or repeat some, got '
            f'{type(dataset).__name__}; put other wrappers around HoldoutDataset instead'
        )
    dataset.full_init()
    # A real subset, and not indices into the whole: where a pipeline gives None, a BaseDataset draws another of its
    # own samples, which must not come from the other part.
    return dataset.get_subset(holdout_indices(len(dataset), ratio, seed)[part])


@DATASETS.register_module()
class HoldoutDataset:
    """One of two disjoint parts of a data set: one to train the weights on, the other to search the policy on.

    Two of them with the same data set, ``ratio`` and ``seed`` and different parts make up the loaders of a search.
    The split is by sample, at random: neighbouring frames of a video may fall into different parts. Of joined or
    repeated data sets (``ConcatDataset``, ``RepeatDataset``, ``ClassBalancedDataset``) the sets inside are split, so
    that copies of an image never fall into both parts.

    Args:
        dataset: The whole data set, or its config; a type without a prefix belongs to the config's ``default_scope``.
        part: ``'weights'`` or ``'policy'``.
        ratio: Fraction of the samples that goes to the policy part, in (0, 1). Default: 0.5.
        seed: Of the random split. Default: 0.

    Attributes:
        dataset: The part as a data set of the original type.

    Raises:
        TypeError: If ``dataset`` is neither a :class:`mmengine.dataset.BaseDataset` nor one of the wrappers above.
        ValueError: If ``part`` is unknown, ``ratio`` is not in (0, 1), or a part would be empty.

    Example:
        >>> dict(type='mmdas.HoldoutDataset', part='policy', dataset=dict(type='CIFAR10', data_root='data/cifar10'))
    """

    def __init__(self, dataset: BaseDataset | dict, part: str, ratio: float = 0.5, seed: int = 0) -> None:
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}')
        whole = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.part = part
        self.ratio = ratio
        self.seed = seed
        self.dataset = take_part(whole, part, ratio, seed)

    @property
    def metainfo(self) -> dict:
        """Meta information of the data set, such as its classes."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Do nothing more than the constructor did: the split needs the loaded data set."""
        self.dataset.full_init()

    def get_data_info(self, idx: int) -> dict:
        """Annotation of the idx-th sample of the part."""
        return self.dataset.get_data_info(idx)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Categories in the idx-th sample of the part, where the data set knows them."""
        return self.dataset.get_cat_ids(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        return self.dataset[idx]
