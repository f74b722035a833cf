from itertools import islice
from multiprocessing import active_children

import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader
from toy_search import ToyImages, loader

from mmdas.engine.data_error import DataError
from mmdas.engine.runner.endless_batches import EndlessBatches, check_end

SAMPLERS = ['DefaultSampler', 'InfiniteSampler']


def build(count: int = 7, **options) -> EndlessBatches:
    """Batches of 2 out of 7 images: 4 in a pass, the last one smaller for a finite sampler."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        config = loader('PackSegInputs', dataset=dict(count=count), **options)
        return EndlessBatches(Runner.build_dataloader(config, seed=3))


def take(batches: EndlessBatches, count: int) -> list[dict]:
    return [next(batches) for _ in range(count)]


def paths(batch: dict) -> list[str]:
    return [sample.img_path for sample in batch['data_samples']]


def same_pixels(left: dict, right: dict) -> bool:
    pairs = zip(left['inputs'], right['inputs'], strict=True)
    return all(torch.equal(image, other) for image, other in pairs)


def test_a_finite_sampler_deals_every_image_once_a_pass_in_a_new_order():
    passes = [sum(map(paths, taken), []) for taken in zip(*[iter(take(build(), 12))] * 4, strict=True)]
    assert all(sorted(order) == [f'{number}.png' for number in range(7)] for order in passes)
    assert len(set(map(tuple, passes))) == 3


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('count', [0, 1, 3, 4, 6, 9])
def test_after_skipping_comes_the_batch_that_would_have_come(sampler, count):
    expected = take(build(sampler=sampler), count + 3)[count:]
    batches = build(sampler=sampler)
    batches.skip(count)
    assert [paths(batch) for batch in take(batches, 3)] == [paths(batch) for batch in expected]


@pytest.mark.parametrize('persistent', [False, True])
@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.slow
def test_workers_draw_the_same_augmentations_after_skipping(sampler, persistent):
    options = dict(sampler=sampler, num_workers=2, persistent_workers=persistent)
    expected = take(build(**options), 8)[5:]
    batches = build(**options)
    batches.skip(5)
    after = take(batches, 3)
    assert [paths(batch) for batch in after] == [paths(batch) for batch in expected]
    assert all(map(same_pixels, after, expected))


@pytest.mark.parametrize('sampler', [DefaultSampler, InfiniteSampler])
def test_a_configured_batch_sampler_is_shuffled_and_skipped_alike(sampler):
    def batches() -> EndlessBatches:
        images = ToyImages(count=8, pipeline=[lambda sample: sample['img_path']])
        batch_sampler = BatchSampler(sampler(images, seed=0), 2, drop_last=False)
        return EndlessBatches(DataLoader(images, batch_sampler=batch_sampler, collate_fn=pseudo_collate))

    expected = take(batches(), 12)
    resumed = batches()
    resumed.skip(9)
    assert take(resumed, 3) == expected[9:]
    assert expected[:4] != expected[4:8]


def test_images_are_not_loaded_to_skip_whole_passes():
    loaded = []
    images = ToyImages(count=8, pipeline=[loaded.append])
    batches = EndlessBatches(DataLoader(images, 2, sampler=DefaultSampler(images, seed=0), collate_fn=pseudo_collate))
    batches.skip(400)
    assert not loaded


def test_closing_ends_the_workers_and_the_next_batch_begins_a_pass():
    others = set(active_children())
    batches = build(num_workers=1)
    first = paths(next(batches))
    assert set(active_children()) > others
    batches.close()
    assert set(active_children()) == others
    assert paths(next(batches)) == first


def test_a_loader_without_a_batch_is_an_error_that_names_the_sizes():
    with pytest.raises(ValueError, match='data loader of 3 samples has no batch of 4; lower the batch size'):
        build(count=3, batch_size=4, drop_last=True)


@pytest.mark.parametrize('count', [0, 1])
def test_a_sampler_without_end_fills_a_batch_with_few_images_but_not_with_none(count):
    few = dict(batch_size=4, drop_last=True, sampler='InfiniteSampler')
    if count == 0:
        with pytest.raises(DataError, match='data loader of 0 samples has no batch'):
            build(count, **few)
    else:
        assert len(paths(take(build(count, **few), 1)[0])) == 4


def test_a_batch_sampler_of_ones_own_may_end_a_sampler_without_an_end():
    class Bounded(BatchSampler):
        def __len__(self) -> int:
            return 2

        def __iter__(self):
            return islice(super().__iter__(), 2)

    images = ToyImages(count=8, pipeline=[])
    sampler = InfiniteSampler(images, seed=0)
    check_end(DataLoader(images, batch_sampler=Bounded(sampler, 2, False), collate_fn=pseudo_collate))
    with pytest.raises(DataError, match='an epoch of it never ends'):
        check_end(DataLoader(images, 2, sampler=sampler, collate_fn=pseudo_collate))
