"""The trial of the conversion on the installed configs, and the page that tells of it."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from torch import nn

from benchmarks.coverage import RECORD, attempt, check_start, explain, installed_configs, model_key, page, read_record
from mmdas.apis import add_das, load_config

GOOD = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
BAD = 'mmpretrain::densenet/densenet121_4xb256_in1k.py'


def test_installed_configs_are_whole_configs_of_their_toolbox():
    names = installed_configs('mmseg')
    assert 'mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py' in names
    assert not any('_base_' in name for name in names)


@pytest.mark.slow
def test_config_that_converts_takes_a_step_and_another_with_its_model_shares_the_trial():
    known = {}
    assert attempt(GOOD, known)['stage'] == 'ok'
    assert len(known) == 1
    known[next(iter(known))]['mark'] = 'shared'
    assert attempt(GOOD, known)['mark'] == 'shared'


def test_config_that_does_not_convert_says_why():
    outcome = attempt(BAD, {})
    assert outcome['stage'] == 'convert'
    assert 'DenseNet has no residual block' in outcome['reason']


@pytest.mark.slow
def test_equal_models_with_other_schedules_share_a_key_and_other_widths_do_not(tmp_path: Path):
    text = f"_base_ = ['{GOOD}']\n"
    changes = {'a': '', 'b': 'train_cfg = dict(max_epochs=7)\n', 'c': 'model = dict(backbone=dict(base_channels=32))\n'}
    keys = {}
    for name, change in changes.items():
        (tmp_path / f'{name}.py').write_text(text + change)
        keys[name] = model_key(load_config(add_das(tmp_path / f'{name}.py', tmp_path / 'das')[1]))
    assert keys['a'] == keys['b'] != keys['c']


def test_page_counts_how_far_the_configs_came_and_names_those_that_did_not():
    record = {
        'mmseg::a/x.py': {'stage': 'ok'},
        'mmseg::a/y.py': {'stage': 'step', 'reason': 'RuntimeError: boom'},
        'mmseg::a/z.py': {'stage': 'convert', 'reason': 'UNet has no residual block in which'},
        'mmpretrain::b/w.py': {'stage': 'read', 'reason': "No module named 'mmdet'"},
    }
    text = page(record)
    assert '| mmseg | 3 | 3 | 2 | 2 | 1 |' in text
    assert '| mmpretrain | 1 | 0 | 0 | 0 | 0 |' in text
    for name in ('mmseg::a/y.py', 'mmseg::a/z.py', 'mmpretrain::b/w.py'):
        assert f'`{name}`' in text
    assert 'mmseg::a/x.py' not in text


@pytest.mark.parametrize(
    ('reason', 'text'),
    [
        ('Please install onedl-mmcv for PSAMask ops. E.g.', 'PSAMask is a compiled operator'),
        ('model.type is MAE, no ImageClassifier: it has', 'MAE is no segmentor or classifier'),
        ('something new', 'convert: something new'),
    ],
)
def test_reasons_are_told_in_plain_words(reason: str, text: str):
    assert explain({'stage': 'convert', 'reason': reason}).startswith(text)


def test_page_in_the_docs_is_that_of_the_record():
    assert (Path(__file__).parents[2] / 'docs/coverage.md').read_text() == page(read_record(RECORD))


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_initialisation_that_reaches_the_fusion_is_a_failure(value: float):
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.fusion = nn.Linear(2, 2)
    nn.init.zeros_(model.backbone.fusion.weight)
    model.init_weights = lambda: nn.init.constant_(model.backbone.fusion.weight, value)
    outcome = pytest.raises(AssertionError, match=r"identity: \['weight'\]") if value else nullcontext()
    with outcome:
        check_start(model)
