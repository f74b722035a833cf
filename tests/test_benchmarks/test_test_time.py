"""What the measurement of views at test time rests on."""

from pathlib import Path

import pytest
from mmengine.registry import DATASETS, DefaultScope

from benchmarks.accuracy.tasks import TASKS
from benchmarks.accuracy.test_time import FLIPS, ITERATIONS, policies, set_apart
from mmdas.apis import load_config
from mmdas.search.test_time import ViewPolicy


def images_of(cfg, loader: str) -> set[bytes]:
    dataset = cfg[loader].dataset
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        built = DATASETS.build(dataset)
    infos = [built.get_data_info(index) for index in range(len(built))]
    return {info['img'].tobytes() if 'img' in info else Path(info['img_path']).name.encode() for info in infos}


@pytest.mark.parametrize(('task', 'count'), [('cifar10', 1000), ('camvid', 101)])
@pytest.mark.slow
def test_views_are_chosen_on_images_that_neither_training_nor_test_has(task: str, count: int, data_root: Path):
    cfg = load_config(TASKS[task].path)
    train, test = images_of(cfg, 'train_dataloader'), images_of(cfg, 'test_dataloader')
    set_apart(cfg, TASKS[task])
    chosen = images_of(cfg, 'val_dataloader')
    assert len(chosen) == count
    assert not chosen & train
    assert not chosen & test


def test_every_policy_is_compared_with_the_image_alone_and_with_flips():
    compared = policies(FLIPS)
    assert compared['image'] == ViewPolicy()
    assert {view.flip for view in compared['flips'].views} == {False, True}
    assert set(ITERATIONS) <= set(TASKS)
