"""Every room works without the packages that it does not need; each case blocks some and runs in a fresh process."""

import subprocess
import sys

import pytest

BLOCK = """
import sys, warnings
warnings.simplefilter('ignore')

class Without:
    # a finder that finds no blocked package, as where they are not installed
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, *others):
        return None if name.partition('.')[0] in {blocked} else self.finder.find_spec(name, *others)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
OPS_AND_SEARCH = """
import torch
from mmdas.ops import affine
from mmdas.search.das import DASCell
assert DASCell(num_frames=2, space='paper')(torch.rand(1, 3, 8, 8)).shape == (1, 6, 8, 8)
"""
# A model of one toolbox learns without the other.
MODEL = """
import torch
from mmengine.registry import MODELS, init_default_scope
init_default_scope('{scope}')
parts = dict(
    type='{model}',
    data_preprocessor=dict(type='mmdas.{preprocessor}', num_frames=2),
    backbone=dict(
        type='mmdas.FrameFusionBackbone',
        fusion=dict(type='mmdas.GateShift'),
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    ),
    {head},
)
model = MODELS.build(parts)
import mmdas.models
assert 'matplotlib.figure' not in sys.modules
assert isinstance(model.data_preprocessor, mmdas.models.{preprocessor})
import mmdas.datasets
from mmengine.dataset import BaseDataset
whole = BaseDataset(serialize_data=False, lazy_init=True)
whole.data_list, whole._fully_initialized = [dict(x=i) for i in range(4)], True
assert len(mmdas.datasets.HoldoutDataset(whole, 'policy')) == 2
assert mmdas.datasets.{dataset}.__name__ == '{dataset}'
"""
SEG = MODEL.format(
    scope='mmseg',
    model='mmdas.DASEncoderDecoder',
    preprocessor='DASSegDataPreProcessor',
    dataset='CamVidDataset',
    head="""decode_head=dict(
        type='mmdas.TemporalPoolingHead', head=dict(type='FCNHead', in_channels=64, channels=8, num_classes=3)
    )""",
)
CLS = MODEL.format(
    scope='mmpretrain',
    model='ImageClassifier',
    preprocessor='DASClsDataPreprocessor',
    dataset='TinyImageNet',
    head="""head=dict(
        type='mmdas.TemporalPoolingClsHead', head=dict(type='LinearClsHead', in_channels=64, num_classes=3)
    )""",
)
PICTURES = """
from mmdas.search.das import Policy
from mmdas.visualization import clip_to_images, draw_policy
import torch
assert clip_to_images(torch.zeros(1, 6, 4, 4), 2).shape == (1, 2, 4, 4, 3)
"""

# From an installed config to those of DAS, which needs no toolbox; then their parts are built, and labels looked at.
CONVERT = """
from mmdas.apis import METHODS, check_conversion, convert, find_config, load_config
from mmdas.engine.hooks.label_checks import find_label_faults
cfg = load_config(find_config('{config}')[0])
made = [convert(cfg, method) for method in METHODS]
assert not {{'mmseg', 'mmpretrain'}} & sys.modules.keys()
for one in made:
    check_conversion(one)
assert dict(find_label_faults([], 4, 255, ())) == dict()
"""
CONFIGS = {
    'mmseg': CONVERT.format(config='mmseg::unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64.py'),
    'mmpretrain': CONVERT.format(config='mmpretrain::resnet/resnet18_8xb16_cifar10.py'),
}


def run(code: str, *blocked: str) -> subprocess.CompletedProcess:
    code = BLOCK.format(blocked=blocked) + code
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ('code', 'blocked'),
    [
        (OPS_AND_SEARCH, ['mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'matplotlib']),
        ('import mmdas.models', ['mmcv', 'mmseg', 'mmpretrain', 'matplotlib']),
        (SEG, ['mmpretrain', 'matplotlib']),
        (CLS, ['mmseg', 'matplotlib']),
        (PICTURES, ['mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'matplotlib']),
        (PICTURES + 'draw_policy(Policy.random(2))', ['mmengine', 'mmcv', 'mmseg', 'mmpretrain']),
    ],
    ids=['ops and search', 'models', 'segmentation', 'classification', 'no picture', 'picture'],
)
@pytest.mark.slow
def test_room_works_without_the_packages_that_it_does_not_need(code: str, blocked: list[str]):
    result = run(code, *blocked)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('toolbox', CONFIGS)
@pytest.mark.slow
def test_config_of_a_toolbox_is_converted_without_the_other_one(toolbox: str):
    result = run(CONFIGS[toolbox], *(CONFIGS.keys() - {toolbox}))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('toolbox', ['mmseg', 'mmpretrain'])
@pytest.mark.slow
def test_part_of_an_absent_toolbox_names_what_to_install(toolbox: str):
    name = dict(mmseg='TemporalPoolingHead', mmpretrain='DASClsDataPreprocessor')[toolbox]
    message = f'ImportError: mmdas.{name} needs {toolbox}, which is not installed: pip install onedl-mm'
    code = f"""
import traceback
from mmengine.registry import MODELS
try:
    MODELS.build(dict(type='mmdas.{name}'))
except ImportError:
    traceback.print_exc()
from mmdas.models import {name}
"""
    assert run(code, toolbox).stderr.count(message) == 2


@pytest.mark.slow
def test_models_are_imported_without_a_toolbox_or_another_slow_package():
    code = 'import mmdas.models; print(*sys.modules)'
    slow = {'mmcv', 'mmseg', 'mmpretrain', 'matplotlib', 'torchvision', 'mmengine.model', 'mmengine.runner'}
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert not slow & set(result.stdout.split())


@pytest.mark.slow
def test_every_public_model_is_importable_and_what_the_registry_builds():
    code = """
import mmdas.models
from mmdas.registry import MODELS
for name in mmdas.models.__all__:
    part = getattr(mmdas.models, name)
    assert part.__name__ == name, part
    if name in MODELS.module_dict:
        assert MODELS.get(name) is part, name
assert {*MODELS.module_dict} <= {*mmdas.models.__all__}, MODELS.module_dict
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
