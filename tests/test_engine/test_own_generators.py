"""Transforms that draw from generators of their own, and data sets whose pipeline is exchanged."""

import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform, Compose, RandomApply
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from torch.utils.data import DataLoader

from mmdas.engine.runner.sample_seeds import (
    PlacedDataset,
    PlacedIndex,
    PlacedSampler,
    iterate_pipelines,
    own_generators,
)


class Library:
    """Draws as albumentations 2 does: no seed of Python, NumPy or PyTorch reaches it."""

    def __init__(self) -> None:
        self.set_random_state(np.random.default_rng(0), random.Random(0))

    def set_random_state(self, random_generator: np.random.Generator, py_random: random.Random) -> None:
        self.numpy, self.python = random_generator, py_random

    def __call__(self) -> list[float]:
        return [self.numpy.random(), self.python.random()]


class DrawElsewhere(BaseTransform):
    def __init__(self) -> None:
        self.library = Library()

    def transform(self, results: dict) -> dict:
        return {**results, 'drawn': [*results.get('drawn', []), *self.library()]}


class Drawn(BaseTransform):
    def transform(self, results: dict) -> torch.Tensor:
        return torch.tensor(results['drawn'])


class Places(BaseDataset):
    def __init__(self) -> None:
        steps = [DrawElsewhere(), RandomApply([DrawElsewhere()], prob=1.0), Drawn()]
        super().__init__(serialize_data=False, pipeline=steps)

    def load_data_list(self) -> list[dict]:
        return [{} for _ in range(6)]


def loaded(dataset, workers: int = 0, **options) -> torch.Tensor:
    """All draws of two passes."""
    placed = PlacedDataset(dataset, seed=0, rank=0)
    sampler = PlacedSampler(placed, torch.utils.data.SequentialSampler(placed))
    loader = DataLoader(placed, sampler=sampler, num_workers=workers, **options)
    batches = []
    for number in range(2):
        sampler.set_epoch(number)
        batches += list(loader)
    return torch.cat(batches)


def test_each_sample_draws_numbers_of_its_own_from_each_transform():
    drawn = loaded(Places())
    assert drawn.shape == (12, 4) and len(drawn.unique()) == drawn.numel()


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_workers():
    assert torch.equal(loaded(Places(), workers=2), loaded(Places()))


def test_numbers_do_not_depend_on_what_was_loaded_before():
    data = PlacedDataset(Places(), seed=0, rank=0)
    first = data[PlacedIndex(0, 5)]
    data[PlacedIndex(1, 6)]
    assert torch.equal(data[PlacedIndex(0, 5)], first)


AROUND = {
    'repeated': (partial(RepeatDataset, times=2), 2),
    'joined': (lambda one: ConcatDataset([one, Places()]), 4),
    'placed': (PlacedDataset, 2),
}


@pytest.mark.parametrize('around', AROUND)
def test_generators_within_other_data_sets_are_found(around: str):
    inner = Places()
    wrap, count = AROUND[around]
    found = list(own_generators(list(iterate_pipelines(wrap(inner)))))
    assert inner.pipeline.transforms[0].library in found
    assert len(set(map(id, found))) == len(found) == count


def test_those_of_a_pipeline_that_came_later_are_found():
    data = PlacedDataset(Places(), seed=0, rank=0)
    wanted = data[PlacedIndex(0, 5)]
    data.pipeline = Places().pipeline
    assert torch.equal(data[PlacedIndex(0, 5)], wanted)


def test_transforms_that_are_exchanged_in_place_are_found():
    data = PlacedDataset(Places(), seed=0, rank=0)
    wanted = data[PlacedIndex(0, 5)]
    data.pipeline.transforms[0] = DrawElsewhere()
    assert torch.equal(data[PlacedIndex(0, 5)], wanted)


def test_what_takes_other_arguments_is_left_alone():
    class Monai:
        def set_random_state(self, seed=None, state=None) -> None:
            raise AssertionError

    step = DrawElsewhere()
    step.library = Monai()
    step.numbers = list(range(5))
    assert list(own_generators([step])) == []


@pytest.mark.parametrize('datasets', [None, 3, len])
def test_data_sets_of_odd_kinds_have_their_own_pipeline(datasets):
    data = Places()
    data.datasets = datasets
    data.dataset = data
    assert list(iterate_pipelines(data)) == [data.pipeline]


def test_transforms_that_know_each_other_end_the_walk():
    one, other = DrawElsewhere(), DrawElsewhere()
    one.other, other.other = other, one
    assert list(own_generators(Compose([one, other]))) == [one.library, other.library]


def test_albumentations_draw_for_each_sample():
    pytest.importorskip('albumentations', reason='albumentations is not installed')
    from mmseg.datasets.transforms import Albu

    class Angles(Places):
        def __init__(self) -> None:
            BaseDataset.__init__(self, serialize_data=False, pipeline=[])
            self.albu = Albu([dict(type='Affine', rotate=(-180, 180), p=1)])
            self.pipeline = Compose([self.albu, lambda results: torch.tensor(results['img'].astype(int).sum())])

        def load_data_list(self) -> list[dict]:
            ramp = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
            return [dict(img=ramp, gt_seg_map=ramp[..., 0]) for _ in range(6)]

    drawn = loaded(Angles(), workers=2)
    assert torch.equal(drawn, loaded(Angles()))
    assert len(drawn.unique()) > 6


def test_pipeline_that_a_hook_exchanges_is_that_of_the_data_set():
    """MMPretrain's SwitchRecipeHook sets ``dataset.pipeline``, in the configs of MobileOne."""
    from mmpretrain.engine.hooks import SwitchRecipeHook

    for data in (Places(), RepeatDataset(Places(), 2), ConcatDataset([Places(), Places()])):
        runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=DataLoader(PlacedDataset(data))))
        SwitchRecipeHook._switch_train_pipeline(runner, lambda results: torch.ones(1))
        assert all(batch == 1 for batch in runner.train_loop.dataloader)
