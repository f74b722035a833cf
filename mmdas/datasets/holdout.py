"""The two parts of a training set that a bilevel search needs (DARTS, Liu et al., ICLR 2019, Sec. 3)."""

import numpy as np
from mmengine.dataset import BaseDataset

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


@DATASETS.register_module()
class HoldoutDataset:
    """One of two disjoint parts of a data set: one to train the weights on, the other to search the policy on.

    Two of them with the same data set, ``ratio`` and ``seed`` and different parts make up the loaders of a search.
    The split is by sample, at random: neighbouring frames of a video may fall into different parts. To repeat or join
    data sets, wrap the holdout (``RepeatDataset``, ``ConcatDataset``), not the other way round, or copies of an image
    would fall into both parts.

    Args:
        dataset: The whole data set, or its config; a type without a prefix belongs to the config's ``default_scope``.
        part: ``'weights'`` or ``'policy'``.
        ratio: Fraction of the samples that goes to the policy part, in (0, 1). Default: 0.5.
        seed: Of the random split. Default: 0.

    Attributes:
        indices (list[int]): The samples of the whole data set that this part serves, in its order.
        dataset (BaseDataset): The part as a data set of the original type.

    Raises:
        TypeError: If ``dataset`` is not a :class:`mmengine.dataset.BaseDataset`.
        ValueError: If ``part`` is unknown, ``ratio`` is not in (0, 1), or a part would be empty.

    Example:
        >>> dict(type='mmdas.HoldoutDataset', part='policy', dataset=dict(type='CIFAR10', data_root='data/cifar10'))
    """

    def __init__(self, dataset: BaseDataset | dict, part: str, ratio: float = 0.5, seed: int = 0) -> None:
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}')
        whole = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not isinstance(whole, BaseDataset):
            raise TypeError(
                f'dataset must be a BaseDataset or its config, got {type(whole).__name__}; '
                'put a wrapper such as RepeatDataset or ConcatDataset around HoldoutDataset instead'
            )
        whole.full_init()
        self.part = part
        self.ratio = ratio
        self.seed = seed
        self.indices = holdout_indices(len(whole), ratio, seed)[part]
        # A real subset, and not indices into the whole: where a pipeline gives None, a BaseDataset draws another of its
        # own samples, which must not come from the other part.
        self.dataset = whole.get_subset(self.indices)

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
