"""Faults of the toolboxes that a config meets are named with a remedy that ends them."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope

from mmdas.apis import known_faults as find
from mmdas.apis.toolbox_faults import quarter_turn_labels
from mmdas.commands import main

CE = {'type': 'CrossEntropyLoss', 'class_weight': [1.0, 2.0]}
# Toolbox, a piece of a config, what is said of it, and the piece with its remedy.
CASES = [
    ('mmseg', {**CE, 'use_sigmoid': True}, 'weighs the columns', {'type': 'CrossEntropyLoss', 'use_sigmoid': True}),
    ('mmseg', {**CE, 'avg_non_ignore': True}, 'fails in the first batch', CE),
    ('mmseg', {'type': 'FocalLoss'}, 'fails on the CPU', {'type': 'CrossEntropyLoss'}),
    ('mmseg', {'type': 'DiceLoss'}, 'ignored label', {'type': 'TverskyLoss'}),
    ('mmseg', {'type': 'HuasdorffDisstanceLoss'}, 'wrong class', {'type': 'TverskyLoss'}),
    ('mmseg', {'type': 'SegTTAModel'}, 'everything foreground', {'type': 'mmdas.SegTTAModel'}),
    ('mmseg', {'type': 'RandomRotFlip'}, 'makes labels up', {'type': 'RandomRotFlip', 'rotate_prob': 0}),
    (
        'mmseg',
        {'type': 'RandomFlip', 'swap_seg_labels': [(1, 2)]},
        'left and right',
        {'type': 'RandomFlip', 'prob': 0.5},
    ),
    (
        'mmpretrain',
        {'type': 'SwitchRecipeHook', 'schedule': [{'action_epoch': 3, 'pipeline': []}]},
        'nothing under pipeline',
        {'type': 'SwitchRecipeHook', 'schedule': [{'action_epoch': 3, 'train_pipeline': []}]},
    ),
    ('mmpretrain', {'type': 'Lighting'}, 'white pixels dark', {'type': 'ColorJitter'}),
    ('mmpretrain', {'type': 'RegressionMetric'}, 'whole numbers', {'type': 'Accuracy'}),
    ('mmpretrain', {'type': 'Rotate', 'angle': 30}, 'first channel', {'type': 'Rotate', 'pad_val': [1, 2, 3]}),
    (
        'mmpretrain',
        {'type': 'RandAugment', 'policies': 'timm_increasing'},
        'first channel',
        {'type': 'RandAugment', 'policies': [{'type': 'Rotate'}], 'hparams': {'pad_val': [1, 2, 3]}},
    ),
]


def faults_of(scope: str, piece: dict) -> list:
    head = {'type': 'FCNHead', 'out_channels': 1}
    return find(Config({'default_scope': scope, 'model': {'decode_head': head}, 'pieces': [piece]}))


@pytest.mark.parametrize(('scope', 'piece', 'text', 'mended'), CASES, ids=[case[1]['type'] for case in CASES])
def test_fault_is_named_with_its_place_until_it_is_mended(scope, piece, text, mended, monkeypatch):
    monkeypatch.setattr('mmdas.apis.toolbox_faults.get_device', lambda: 'cpu')
    (fault,) = faults_of(scope, piece)
    assert fault.place == 'pieces.0' and text in fault.text and fault.remedy
    assert faults_of(scope, mended) == []
    other = {'mmseg': 'mmpretrain', 'mmpretrain': 'mmseg'}[scope]
    assert faults_of(other, piece) == []


def test_focal_loss_on_a_gpu_is_no_fault(monkeypatch):
    monkeypatch.setattr('mmdas.apis.toolbox_faults.get_device', lambda: 'cuda')
    assert faults_of('mmseg', {'type': 'FocalLoss'}) == []


@pytest.mark.parametrize(('kept', 'named'), [(49, False), (16, True)])
def test_quarter_turns_are_named_where_opencv_loses_labels(kept: int, named: bool, monkeypatch):
    monkeypatch.setattr('mmdas.apis.toolbox_faults.quarter_turn_labels', lambda: kept)
    assert bool(faults_of('mmseg', {'type': 'RandomRotate', 'prob': 0.5, 'degree': 90})) is named


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])
def test_rate_that_is_applied_in_each_iteration_is_named(scope: str):
    schedule = {'type': 'ExponentialLR', 'gamma': 0.9, 'begin': 0, 'end': 9}
    (fault,) = faults_of(scope, {**schedule, 'convert_to_iter_based': True})
    assert 'in each iteration' in fault.text
    assert (
        faults_of(scope, schedule)
        == faults_of(scope, {'type': 'CosineAnnealingLR', 'convert_to_iter_based': True})
        == []
    )


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])
def test_hooks_that_take_a_metric_for_another_are_named(scope: str):
    stop = {'type': 'EarlyStoppingHook', 'monitor': 'mIoU'}
    (fault,) = faults_of(scope, {**stop, 'min_delta': 0})
    assert 'unchanged score' in fault.text
    assert faults_of(scope, stop) == faults_of(scope, {**stop, 'min_delta': 1e-6}) == []
    for name in ('heatmap_loss', ['mIoU', 'laptop/loss']):
        (fault,) = faults_of(scope, {'type': 'CheckpointHook', 'save_best': name})
        assert 'for a score' in fault.text
        assert faults_of(scope, {'type': 'CheckpointHook', 'save_best': name, 'rule': 'less'}) == []
    for name in ('mIoU', 'val/loss', 'val_error', 'auto', None):
        assert faults_of(scope, {'type': 'CheckpointHook', 'save_best': name}) == []


def test_transforms_of_one_image_are_named_before_the_pair_is_made(monkeypatch):
    monkeypatch.setattr('mmdas.apis.toolbox_faults.quarter_turn_labels', lambda: 49)  # RandomRotate has another fault
    pair = {'type': 'ConcatCDInput'}
    flip, turn, colour = ({'type': name} for name in ('RandomFlip', 'RandomRotate', 'PhotoMetricDistortion'))

    def said(*steps) -> list:
        return find(Config({'default_scope': 'mmseg', 'data': {'pipeline': list(steps)}}))

    (fault,) = said(flip, turn, pair)
    assert fault.place == 'data.pipeline.2' and 'RandomFlip and RandomRotate change' in fault.text
    assert 'behind ConcatCDInput' in fault.remedy
    (fault,) = said(colour, pair)
    assert fault.remedy == 'leave PhotoMetricDistortion out'
    assert said(pair, flip, turn) == []


@pytest.mark.usefixtures('mmseg_scope')
@pytest.mark.parametrize('case', CASES[:2], ids=['sigmoid', 'average'])
def test_named_losses_fail_and_mended_ones_do_not(case):
    import mmseg.models  # noqa: F401

    scores, labels = torch.rand(1, 2, 3, 4), torch.zeros(1, 3, 4, dtype=torch.long)
    with pytest.raises((RuntimeError, IndexError)):
        MODELS.build(case[1])(scores, labels)
    assert MODELS.build(case[3])(scores, labels) > 0


def test_named_rotation_fills_one_channel_and_the_mended_one_all():
    import mmpretrain.datasets  # noqa: F401

    def corner(**options) -> list[int]:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            turn = TRANSFORMS.build({'type': 'Rotate', 'angle': 45.0, 'prob': 1.0, **options})
        return turn({'img': np.full((9, 9, 3), 7, np.uint8)})['img'][0, 0].tolist()

    assert corner() == [128, 0, 0] and corner(pad_val=[128, 128, 128]) == [128] * 3


def test_quarter_turn_is_that_of_the_toolbox():
    from mmseg.datasets.transforms import RandomRotate

    labels = np.arange(70, dtype=np.uint8).reshape(7, 10)
    sample = {'img': np.zeros((7, 10, 3), np.uint8), 'gt_seg_map': labels, 'seg_fields': ['gt_seg_map']}
    shown = RandomRotate(prob=1.0, degree=(90.0, 90.0))(sample)['gt_seg_map']
    assert len(set(shown.flatten().tolist()) - {255}) == quarter_turn_labels()


def test_check_of_a_config_says_what_it_found(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('runpy.run_path', lambda *_, **__: {'main': lambda _: 0, 'Result': Line})
    (tmp_path / 'dice.py').write_text("default_scope = 'mmseg'\nmodel = dict(loss=dict(type='DiceLoss'))\n")
    assert main(['check', str(tmp_path / 'dice.py')]) == 0
    assert capsys.readouterr().out.startswith('warn model.loss: DiceLoss learns')
    (tmp_path / 'good.py').write_text("default_scope = 'mmseg'\nmodel = dict(type='EncoderDecoder')\n")
    assert main(['check', str(tmp_path / 'good.py')]) == 0
    assert 'meets none of the known faults' in capsys.readouterr().out


class Line(str):
    """A result of the script, as text."""

    def __new__(cls, status: str, text: str, remedy: str = '') -> 'Line':
        return super().__new__(cls, f'{status} {text} {remedy}')
