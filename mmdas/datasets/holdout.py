"""The two parts of a training set that a bilevel search needs (DARTS, Liu et al., ICLR 2019, Sec. 3)."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.logging import print_log

from mmdas.registry import DATASETS, loaded

from .content import describe_copies, find_copies

PARTS = ('weights', 'policy')
# What holds other data sets and has no samples of its own: the split goes to what they hold.
WRAPPERS = (ConcatDataset, RepeatDataset, ClassBalancedDataset)
# The same of a toolbox: module and name.
MIX, KFOLD = ('mmseg.datasets', 'MultiImageMixDataset'), ('mmpretrain.datasets', 'KFoldDataset')


def all_wrappers() -> Any:
    """All wrappers of which there can be data sets."""
    return (*WRAPPERS, *loaded(*MIX), *loaded(*KFOLD))


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


def deal_samples(
    datasets: Sequence[BaseDataset], ratio: float, seed: int, copies: Sequence[list[tuple[int, int]]] = ()
) -> list[dict[str, list[int]]]:
    """Deal out the samples of several data sets, so that copies of an image fall into one part.

    Without copies, every data set is dealt out by :func:`holdout_indices`. Copies follow the first of them.

    Args:
        datasets: loaded data sets.
        ratio, seed: as of :func:`holdout_indices`.
        copies: groups of samples with one image, as of :func:`find_copies`.

    Returns:
        for every data set what :func:`holdout_indices` returns.

    Raises:
        ValueError: If a part of all of them would be empty.
    """
    dealt = [holdout_indices(len(dataset), ratio, seed) for dataset in datasets]
    homes = [{index: part for part in PARTS for index in parts[part]} for parts in dealt]
    for (first, index), *others in copies:
        for number, copy_ in others:
            homes[number][copy_] = homes[first][index]
    orders = [parts['policy'] + parts['weights'] for parts in dealt]
    result = [
        {part: [index for index in order if home[index] == part] for part in PARTS}
        for order, home in zip(orders, homes, strict=True)
    ]
    for part in PARTS:
        if not any(parts[part] for parts in result):
            raise ValueError(
                f'the {part} part of the holdout would be empty, since the samples are copies of too few images; give '
                'more images, or another seed'
            )
    return result


def find_leaves(dataset: Any) -> Iterator[BaseDataset]:
    """The data sets with samples of their own in a data set, loaded.

    Raises:
        TypeError: If there is one that is neither a ``BaseDataset`` nor one of the known wrappers.
    """
    if isinstance(dataset, HoldoutDataset):
        yield from find_leaves(dataset.dataset)
    elif isinstance(dataset, loaded(*KFOLD)):
        dataset.full_init()  # from then on it holds the samples of its fold alone
        yield from find_leaves(dataset.dataset)
    elif isinstance(dataset, all_wrappers()):
        for inner in dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset.dataset]:
            yield from find_leaves(inner)
    elif isinstance(dataset, BaseDataset):
        dataset.full_init()
        yield dataset
    else:
        raise TypeError(
            f'dataset must be a BaseDataset or its config, or one of the wrappers '
            f'{wrapper_names()}, got {type(dataset).__name__}; put other wrappers around HoldoutDataset instead'
        )


def take_part(dataset: Any, indices: Mapping[int, list[int]]) -> Any:
    """The part of a data set, or the wrapper around the part of what it wraps.

    Args:
        dataset: of a kind that :func:`find_leaves` knows.
        indices: ``id`` of each data set at the bottom -> its samples in the part.
    """
    if isinstance(dataset, HoldoutDataset) or isinstance(dataset, loaded(*KFOLD)):  # noqa: SIM101
        return take_part(dataset.dataset, indices)
    if not isinstance(dataset, all_wrappers()):
        # A real subset, and not indices into the whole: where a pipeline gives None, a BaseDataset draws another of its
        # own samples, which must not come from the other part.
        return dataset.get_subset(indices[id(dataset)])
    wrapper = copy.copy(dataset)  # their constructors refuse a wrapper within a wrapper
    if isinstance(dataset, ConcatDataset):
        inner = [one for one in dataset.datasets if any(indices[id(leaf)] for leaf in find_leaves(one))]
        wrapper.datasets = [take_part(one, indices) for one in inner]
    else:
        wrapper.dataset = take_part(dataset.dataset, indices)
    wrapper._fully_initialized = False
    wrapper.full_init()  # counts the samples anew
    if isinstance(dataset, loaded(*MIX)):
        wrapper.num_samples = len(wrapper.dataset)  # which its constructor counts
    return wrapper


def wrapper_names() -> str:
    """The wrappers that the split reaches into, for messages."""
    return ', '.join([*(wrapper.__name__ for wrapper in WRAPPERS), MIX[1], KFOLD[1]])


def check_holdout(dataset: Any, place: str) -> None:
    """Check by the types in a data set's config that :class:`HoldoutDataset` can split it; no data is read.

    Args:
        dataset: the config of the whole data set.
        place: where it stands, for the message.

    Raises:
        TypeError: naming the place and the type that cannot be split.
    """
    kind = find_type(dataset, place)
    if issubclass(kind, BaseDataset):
        return
    if issubclass(kind, HoldoutDataset):
        check_holdout(dataset.get('dataset'), f'{place}.dataset')
        return
    if not issubclass(kind, all_wrappers()):
        raise TypeError(
            f'{place}.type is {kind.__name__}: a search holds half of the training set out, which goes for types of '
            f'BaseDataset and for {wrapper_names()} around them; give train_cfg.policy_dataloader by hand, or leave '
            'the wrapper out'
        )
    if issubclass(kind, ConcatDataset):
        for index, inner in enumerate(dataset.get('datasets') or ()):
            check_holdout(inner, f'{place}.datasets.{index}')
        return
    inner = f'{place}.dataset'
    check_holdout(dataset.get('dataset'), inner)
    if issubclass(kind, ClassBalancedDataset) and not knows_categories(find_type(dataset['dataset'], inner)):
        raise TypeError(f'{place}.type is ClassBalancedDataset, but {inner} has no get_cat_ids that it could ask')


def find_type(dataset: Any, place: str) -> type:
    """The class that a data set's config names, as text or as the class itself.

    Raises:
        TypeError: if it names none, or none that is registered.
    """
    kind = dataset.get('type') if isinstance(dataset, Mapping) else None
    if isinstance(kind, str):
        name = kind
        with DATASETS.switch_scope_and_registry(dataset.get('_scope_')) as registry:
            try:
                kind = registry.get(name)
            except RuntimeError:  # MMEngine's, which says no more than the name
                kind = None
        if kind is None:
            raise TypeError(f'{place}.type is {name!r}, which is not registered; name its module in custom_imports')
    if not isinstance(kind, type):
        what = f'a list of {len(dataset)}' if isinstance(dataset, Sequence) else repr(dataset)
        raise TypeError(f'{place} must be the config of a data set, with its type, got {what}')
    return kind


def knows_categories(kind: type) -> bool:
    """Whether data sets of a type say which categories a sample has, as ClassBalancedDataset asks."""
    return getattr(kind, 'get_cat_ids', BaseDataset.get_cat_ids) is not BaseDataset.get_cat_ids


@DATASETS.register_module()
class HoldoutDataset:
    """One of two disjoint parts of a data set: one to train the weights on, the other to search the policy on.

    Two of them with the same data set, ``ratio`` and ``seed`` and different parts make up the loaders of a search.
    The split is by sample, at random, except that samples with the same image (:func:`find_copies`) stay together:
    neighbouring frames of a video may fall into different parts. Of wrappers
    (``ConcatDataset``, ``RepeatDataset``, ``ClassBalancedDataset``, ``MultiImageMixDataset``, ``KFoldDataset``) the
    sets inside are split: copies of an image never fall into both parts, and a mosaic is made of images of one part.

    Args:
        dataset: The whole data set, or its config; a type without a prefix belongs to the config's ``default_scope``.
            It may be the part of another split.
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
        leaves = list(find_leaves(whole))
        copies = find_copies(leaves)
        if copies and part == 'weights':  # once for both parts
            print_log(describe_copies(leaves, copies), 'current', logging.WARNING)
        dealt = deal_samples(leaves, ratio, seed, copies)
        self.dataset = take_part(whole, {id(leaf): one[part] for leaf, one in zip(leaves, dealt, strict=True)})

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
