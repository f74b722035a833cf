"""Random augmentation of a sample that depends on its place in the training, and on nothing before it.

The random state of a data loader's worker depends on all that the worker has loaded, and no checkpoint holds it. With a
seed for each place, a resumed training draws what an uninterrupted one would have drawn, with any number of workers,
without loading again what it has seen.
"""

import random
from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from inspect import signature
from itertools import islice
from types import FunctionType
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from torch.utils.data import BatchSampler, Sampler, get_worker_info

from mmdas.registry import DATA_SAMPLERS, DATASETS


class PlacedIndex(int):
    """Index of a sample that knows the place of the sample in the training of this process."""

    place: int

    def __new__(cls, index: int, place: int) -> 'PlacedIndex':
        """The index; ``place`` counts from 0."""
        value = super().__new__(cls, index)
        value.place = place
        return value

    def __reduce__(self) -> tuple:
        return type(self), (int(self), self.place)


@DATA_SAMPLERS.register_module()
class PlacedSampler(Sampler):
    """Another sampler, whose indices know their places.

    Args:
        dataset: the data set.
        sampler: config of the other sampler, or the sampler.
        seed: for the other sampler.
    """

    def __init__(self, dataset: Sized, sampler: Mapping | Sampler, seed: int | None = None) -> None:
        built = isinstance(sampler, Sampler)
        self.sampler: Any = (
            sampler if built else DATA_SAMPLERS.build(dict(sampler), default_args={'dataset': dataset, 'seed': seed})
        )
        self._pass = 0
        self._skip = 0

    def __iter__(self) -> Iterator[PlacedIndex]:
        start, self._skip = self._skip, 0
        first = self._pass * len(self.sampler)
        for number, index in enumerate(islice(iter(self.sampler), start, None), first + start):
            yield PlacedIndex(index, number)

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Begin this pass over the data next."""
        self._pass = epoch
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def skip(self, samples: int) -> None:
        """Leave out so many samples at the beginning of the next pass."""
        self._skip = samples


@DATASETS.register_module()
class PlacedDataset:
    """Another data set, each sample of which has random numbers of its own.

    An index without a place is loaded as the other data set does. What is asked of this one beside samples, it asks
    the other, and what is set is set there: MMPretrain's ``SwitchRecipeHook`` exchanges its pipeline.

    Transforms that draw from generators of their own, those of albumentations 2, get theirs for each sample, too. By
    themselves all workers draw the same from them.

    Args:
        dataset: config of the other data set, or the data set.
        seed: of the run.
        rank: of this process. Default: the one of the distributed run.
    """

    def __init__(self, dataset: Any, seed: int = 0, rank: int | None = None) -> None:
        built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        vars(self).update(dataset=built, seed=seed, rank=get_rank() if rank is None else rank, _generators=([], []))

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'dataset':  # while it is unpickled in a worker
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.dataset, name, value)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, PlacedIndex):
            return self.dataset[index]
        text = f'{self.seed} {self.rank} {index.place}'
        seed = int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), 'little')
        with nullcontext() if get_worker_info() is not None else _kept_random_state():
            random.seed(seed)
            np.random.seed(seed)
            torch.random.default_generator.manual_seed(seed)
            for number, transform in enumerate(self._own_generators()):
                transform.set_random_state(np.random.default_rng([seed, number]), random.Random(f'{seed} {number}'))
            return self.dataset[int(index)]

    def _own_generators(self) -> list:
        """See :func:`own_generators`; looked for again where a pipeline is another one."""
        steps, found = self._generators
        now = [one for pipeline in iterate_pipelines(self.dataset) for one in steps_of(pipeline)]
        if list(map(id, now)) != list(map(id, steps)):
            found = list(own_generators(now))
            vars(self).update(_generators=(now, found))
        return found

    def __getstate__(self) -> dict:
        return {**vars(self), '_generators': ([], [])}  # a worker looks for them itself


def iterate_pipelines(dataset: Any, seen: tuple[int, ...] = ()) -> Iterator[Any]:
    """The pipelines of a data set and of those in it."""
    if id(dataset) in seen:
        return
    seen = (*seen, id(dataset))
    if hasattr(dataset, 'pipeline'):
        yield dataset.pipeline
    several = getattr(dataset, 'datasets', None)
    for inner in (*(several if isinstance(several, (list, tuple)) else ()), getattr(dataset, 'dataset', None)):
        if inner is not None:
            yield from iterate_pipelines(inner, seen)


def steps_of(pipeline: Any) -> list[Any]:
    """The transforms of a pipeline."""
    steps = getattr(pipeline, 'transforms', pipeline)
    return list(steps) if isinstance(steps, (list, tuple)) else [steps]


def own_generators(node: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Transforms that draw from random generators of their own.

    Args:
        node: a transform, or several, also in another one.
        seen: ids of nodes that are left out. Default: none.

    Yields:
        Those that can be given other generators, see :func:`takes_generators`.
    """
    seen = set() if seen is None else seen
    if id(node) in seen:
        return
    seen.add(id(node))
    if takes_generators(node):
        yield node
    elif isinstance(node, (list, tuple)):
        for one in node:
            if not isinstance(one, (int, float, str, bytes)):
                yield from own_generators(one, seen)
    elif callable(node) and not isinstance(node, (type, FunctionType)):
        for value in vars(node).values() if hasattr(node, '__dict__') else ():
            yield from own_generators(value, seen)


def takes_generators(node: Any) -> bool:
    """Whether ``set_random_state`` takes what albumentations calls ``random_generator`` and ``py_random``."""
    method = getattr(type(node), 'set_random_state', None)
    return callable(method) and {'random_generator', 'py_random'} <= set(signature(method).parameters)


# Numpy's global generator while a sample is loaded in the main process: to exchange it costs less than to save it.
_numpy_generator = np.random.MT19937()


@contextmanager
def _kept_random_state() -> Iterator[None]:
    """Give the main process its random state back, which its network and the mixing of batches draw from.

    Not that of Python's own generator, which costs more to keep than all else here.
    """
    exchange: Any = np.random  # whose type stubs lack the exchange of the generator
    numpy, pytorch = exchange.get_bit_generator(), torch.get_rng_state()
    exchange.set_bit_generator(_numpy_generator)
    try:
        yield
    finally:
        exchange.set_bit_generator(numpy)
        torch.set_rng_state(pytorch)


def place_samples(dataloader: dict, seed: int) -> dict:
    """Config of a data loader whose samples have random numbers of their own.

    Args:
        dataloader: config of MMEngine.
        seed: of the run.
    """
    return {
        **dataloader,
        'dataset': {'type': 'mmdas.PlacedDataset', 'dataset': dataloader['dataset'], 'seed': seed},
        'sampler': {'type': 'mmdas.PlacedSampler', 'sampler': dataloader['sampler']},
    }


def placed_sampler(dataloader: Any) -> PlacedSampler | None:
    """The sampler by which batches of a data loader can be left out; None where its batches are of another kind."""
    if type(dataloader.batch_sampler) is not BatchSampler:
        return None
    sampler = dataloader.batch_sampler.sampler
    return sampler if isinstance(sampler, PlacedSampler) else None
