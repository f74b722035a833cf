"""Several processes against one with the same global batch, where the loss is a weighted mean and where it is not."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.registry import DATASETS
from toy_search import SIZE, ToyImages, _search, differences, loader, run, seg_model
from two_processes import in_two_processes, process_variables

from mmdas.apis import end_processes
from mmdas.engine.utils import unwrap

pytestmark = pytest.mark.slow

STEPS = 4
LOSSES = {
    'plain': {},
    'ignored pixels': dict(ignored=True),
    'class weights': dict(loss=dict(class_weight=[1.0, 5.0])),
    'mean of what is not ignored': dict(ignored=True, loss=dict(avg_non_ignore=True)),
}
EQUAL = ('plain', 'ignored pixels')
UNEQUAL = tuple(name for name in LOSSES if name not in EQUAL)


@DATASETS.register_module()
class UnequalAreas(ToyImages):
    """Toy images whose classes, and ignored pixels, have another area in each."""

    def __init__(self, ignored: bool = False, **options) -> None:
        self.ignored = ignored
        super().__init__(**options)

    def _sample(self, number: int, random: np.random.RandomState) -> dict:
        sample = super()._sample(number, random)
        areas = np.zeros((SIZE, SIZE), np.uint8)
        areas[: 1 + 3 * number % SIZE] = 1
        if self.ignored:
            areas[:, : 2 * number] = 255
        return {**sample, 'gt_seg_map': areas}


def training(work_dir: Path, processes: int, name: str, halves: bool = False) -> Config:
    """Steps on global batches of two images; ``halves``: a process takes the mean of two losses for each step."""
    ignored, loss = LOSSES[name].get('ignored', False), LOSSES[name].get('loss', {})
    model = seg_model()
    model['data_preprocessor'].update(cell=None, seg_pad_val=255)
    norm = dict(type='GN', num_groups=2)
    model['backbone'].update(fusion=dict(type='mmdas.TemporalShift'))
    model['backbone']['backbone'].update(norm_cfg=norm)
    model['decode_head']['head'].update(
        norm_cfg=norm, dropout_ratio=0, loss_decode=dict(type='CrossEntropyLoss', **loss)
    )
    dataset = dict(type='UnequalAreas', ignored=ignored, pipeline=[dict(type='PackSegInputs')])
    parts = 2 if halves else 1
    return _search(
        work_dir,
        False,
        'mmseg',
        model=model,
        train_dataloader=loader('PackSegInputs', batch_size=2 // processes // parts, shuffle=False, dataset=dataset),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=STEPS * parts),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=parts),
        custom_hooks=[],
        launcher='pytorch' if processes > 1 else 'none',
    )


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(process_variables(rank, port))
    for name in LOSSES:
        runner = run(training(folder / name, 2, name))
        torch.save(unwrap(runner.model).state_dict(), folder / f'{name}_{get_rank()}.pth')
    end_processes()


@pytest.fixture(scope='module')
def results(tmp_path_factory) -> Path:
    """Folder of what two processes have trained with each loss."""
    folder = tmp_path_factory.mktemp('processes')
    in_two_processes(in_process, folder)
    return folder


def gaps(results: Path, folder: Path, name: str, halves: bool = False) -> Iterator[float]:
    """Largest difference of each weight between two processes and one."""
    two = torch.load(results / f'{name}_0.pth', weights_only=True)
    one = run(training(folder, 1, name, halves)).model.state_dict()
    for key, value in one.items():
        if value.is_floating_point():
            yield (value - two[key]).abs().max().item()


@pytest.mark.parametrize('name', LOSSES)
def test_both_processes_have_the_same_weights(results, name):
    left, right = (torch.load(results / f'{name}_{rank}.pth', weights_only=True) for rank in (0, 1))
    assert differences(left, right) == []


@pytest.mark.parametrize('name', EQUAL)
def test_two_processes_train_as_one_where_every_pixel_counts_the_same(results, tmp_path, name):
    assert max(gaps(results, tmp_path, name)) < 1e-5


@pytest.mark.parametrize('name', UNEQUAL)
def test_a_weighted_mean_is_one_of_each_process(results, tmp_path, name):
    """Two processes do what one does that takes the mean over the weights of each half, and not over those of all."""
    assert max(gaps(results, tmp_path / 'whole', name)) > 1e-4
    assert max(gaps(results, tmp_path / 'halves', name, halves=True)) < 1e-5
