"""The data sets that hold files."""

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import BaseDataset, Compose

from .guarded_pipeline import GuardedPipeline


def inner_datasets(dataset: Any) -> Iterator[Any]:
    """The data sets at the bottom of all wrappers."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner == [None]:
        yield dataset
    else:
        for part in inner:
            yield from inner_datasets(part)


def guard(dataset: Any) -> list[Any]:
    """Let the pipelines of a data set, and of all that it wraps, name the file at fault.

    Returns:
        the data sets at the bottom whose pipelines do so; those with a kind of pipeline of their own are left out.
    """
    guarded: list[Any] = []
    for leaf in inner_datasets(dataset):
        if isinstance(leaf, BaseDataset) and type(leaf.pipeline) is Compose:
            leaf.pipeline = GuardedPipeline(leaf.pipeline, len(leaf))
        if isinstance(getattr(leaf, 'pipeline', None), GuardedPipeline) and all(leaf is not one for one in guarded):
            guarded.append(leaf)
    return guarded
