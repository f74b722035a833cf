"""What a config says and does not do is told, with what mends it."""

import logging
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from torch import nn

from mmdas.apis import find_config, find_slips, read_config, warn_of_slips
from mmdas.apis.config_slips import unmatched_rates

CONFIGS = Path(__file__).parents[2] / 'configs'
# Installed configs that do not train as their names say (onedl-mmsegmentation 1.4.2, onedl-mmpretrain 1.3.6).
INSTALLED = {
    'mmseg::beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640.py': [
        ('param_scheduler', 'all schedules end at 160000')
    ],
    'mmseg::ocrnet/ocrnet_r101-d8_8xb2-80k_cityscapes-512x1024.py': [('param_scheduler', 'end at 40000 iters')],
    'mmseg::knet/knet-s3_swin-l_upernet_8xb2-adamw-80k_ade20k-640x640.py': [
        ('crop_size', 'train_dataloader.dataset.pipeline'),
        ('test_pipeline', 'test_dataloader.dataset.pipeline'),
        ('train_pipeline', 'train_dataloader.dataset.pipeline'),
        ('train_dataloader.dataset.pipeline.3', '36% of what'),
    ],
    'mmpretrain::resnest/resnest200_64xb32_in1k.py': [
        ('test_pipeline', 'have the old value'),
        ('train_pipeline', 'has the old value'),
    ],
    'mmpretrain::lenet/lenet5_mnist.py': [('param_scheduler', 'milestones [15]')],
    'mmpretrain::resnet/resnet50_8xb128_coslr-90e_in21k.py': [('param_scheduler', 'falls until 100 epochs')],
    'mmpretrain::mobileone/mobileone-s1_8xb32_in1k.py': [],
    'mmpretrain::t2t_vit/t2t-vit-t-14_8xb64_in1k.py': [],
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py': [],
}


def slips_of(path: Path) -> list:
    return find_slips(read_config(path), path)


@pytest.mark.parametrize('name', INSTALLED)
def test_installed_config_is_told_from_one_that_does_what_it_says(name: str):
    found = slips_of(find_config(name)[0])
    assert [(slip.place, True) for slip in found] == [
        (place, text in slip.text) for slip, (place, text) in zip(found, INSTALLED[name], strict=True)
    ]


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('[!_]*/*.py')), ids=lambda path: path.stem)
def test_configs_of_the_project_do_what_they_say(path: Path):
    assert slips_of(path) == []


def write(folder: Path, **files: str) -> list:
    """Write config files; the slips of the last one."""
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return slips_of(folder / f'{name}.py')


BASE = """
steps = [dict(type='RandomFlip', prob=0.5)]
norm = dict(type='SyncBN')
train_dataloader = dict(dataset=dict(type='A', pipeline=steps))
model = dict(type='Net', backbone=dict(norm=norm))
"""
MIDDLE = "_base_ = 'base.py'\nsteps = [dict(type='Resize', scale=3)]\n"


def test_variable_that_a_file_sets_in_vain_is_told_with_its_place(tmp_path):
    (slip,) = write(tmp_path, base=BASE, child=MIDDLE)
    assert slip.place == 'steps' and 'child.py' in slip.text
    assert 'train_dataloader.dataset.pipeline has the old value' in slip.text and 'whole list' in slip.remedy


def test_variable_that_is_put_in_its_place_too_is_no_slip(tmp_path):
    used = f'{MIDDLE}train_dataloader = dict(dataset=dict(pipeline=steps))\n'
    assert write(tmp_path, base=BASE, child=used) == []


def test_slip_of_a_base_is_told_until_the_child_mends_it(tmp_path):
    (slip,) = write(tmp_path, base=BASE, middle=MIDDLE, child="_base_ = ['middle.py']\n")
    assert 'middle.py' in slip.text
    mended = "_base_ = 'middle.py'\ntrain_dataloader = dict(dataset=dict(pipeline={{_base_.steps}}))\n"
    assert write(tmp_path, child=mended) == []


def test_variable_of_two_bases_and_one_that_no_base_uses(tmp_path):
    other = 'extra = dict(a=1)\nval_dataloader = None\n'
    child = "_base_ = ['base.py', 'other.py']\nextra = dict(a=2)\nnorm = dict(type='BN')\nown = dict(b=3)\n"
    (slip,) = write(tmp_path, base=BASE, other=other, child=child)
    assert slip.place == 'norm' and 'model.backbone.norm' in slip.text


@pytest.mark.parametrize('text', ["_base_ = [name for name in ['base.py']]\n", 'x = 1\n'])
def test_files_whose_bases_are_not_known_have_no_such_slip(text: str, tmp_path):
    assert write(tmp_path, base=BASE, child=text) == []


def test_values_that_cannot_be_compared_are_no_slips(tmp_path):
    array = "x = __import__('numpy').arange({0})\nmodel = dict(type='Net', x=x)\n"
    assert write(tmp_path, base=array.format(3), child="_base_ = 'base.py'\nx = [1, 2, 3]\n") == []


def test_place_that_is_gone_is_no_slip(tmp_path):
    gone = "_base_ = 'base.py'\nv = 3\nmodel = dict(_delete_=True, type='X')\n"
    assert write(tmp_path, base="v = None\nmodel = dict(type='Net', v=v)\n", child=gone) == []


@pytest.fixture
def told(caplog):
    """The warnings of MMEngine's log."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        yield caplog
    logger.removeHandler(caplog.handler)


def test_run_warns_of_them(told):
    keys = dict(head=dict(lr_mult=2))
    cfg = Config(
        dict(
            train_cfg=dict(max_iters=5),
            param_scheduler=[dict(type='PolyLR', end=9, by_epoch=False)],
            default_hooks=dict(checkpoint=None, logger=None),
        )
    )
    cfg.optim_wrapper = dict(paramwise_cfg=dict(custom_keys=keys))
    warn_of_slips(cfg, nn.Linear(1, 1))
    assert 'PolyLR ends at 9 iters, the training at 5' in told.text and 'lr_mult=2 is lost' in told.text


@pytest.mark.parametrize('model', [ConfigDict(type='Net'), nn.Linear(1, 1)])
def test_odd_config_stops_no_run(model, told):
    cfg = Config(
        dict(
            train_cfg=dict(max_iters=5),
            param_scheduler=[dict(type='MultiStepLR', milestones=3, by_epoch=False)],
            default_hooks=dict(checkpoint=3),
        )
    )
    warn_of_slips(cfg, model)
    assert not told.records


def test_rates_of_parts_that_a_model_lacks_are_told():
    keys = {'.backbone.fc': dict(lr_mult=10), 'head': dict(lr_mult=2), 'absent': dict(decay_mult=0)}
    cfg = Config(dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=keys))))
    (slip,) = unmatched_rates(cfg, ['backbone.fc.weight', 'backbone.fc.bias', 'head.weight'])
    assert slip.place == 'optim_wrapper.paramwise_cfg.custom_keys' and "'.backbone.fc'" in slip.text
    assert slip.remedy.endswith("'backbone.fc'")


@pytest.mark.parametrize('value', [None, 0, 'x', [], {}, [1], [None], {'type': None}, float('nan'), object, len])
def test_no_value_ends_the_search_for_slips(value):
    cfg = read_config(find_config('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py')[0])
    for place in (
        'model',
        'model.data_preprocessor.mean',
        'model.data_preprocessor.size',
        'model.decode_head',
        'model.auxiliary_head.num_classes',
        'train_cfg',
        'param_scheduler',
        'default_hooks',
        'default_hooks.logger',
        'default_hooks.checkpoint.interval',
        'val_dataloader',
        'val_dataloader.sampler',
        'val_evaluator',
        'val_evaluator.topk',
    ):
        changed = deepcopy(cfg)
        *parents, key = place.split('.')
        reduce(getitem, parents, changed)[key] = value
        assert all(slip.text for slip in find_slips(changed)), place


def test_numbers_under_another_name_are_no_use_of_a_variable(tmp_path):
    base = 'crop_size = (8, 8)\nmodel = dict(data_preprocessor=dict(size=crop_size), scale=(8, 8))\n'
    (slip,) = write(tmp_path, base=base, child="_base_ = 'base.py'\ncrop_size = (4, 4)\n")
    assert 'model.data_preprocessor.size has the old value' in slip.text
