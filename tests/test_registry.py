"""Names that resolve in a fresh process, as in a config without ``custom_imports``."""

import subprocess
import sys

import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from torch import nn

from mmdas.registry import add_missing_registry, type_name

BUILD = """
import sys
from mmengine.registry import DefaultScope
from mmengine.registry import DATASETS, HOOKS, LOOPS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS, TASK_UTILS
assert 'mmdas' not in sys.modules
DefaultScope.get_instance('test', scope_name='{scope}')
model = MODELS.build(dict(
    type='mmdas.FrameFusionBackbone',
    num_frames=2,
    backbone=dict(type='ResNet', depth=18),
    fusion=dict(type='mmdas.GateShift'),
))
assert MODELS.get('{scope}.ResNet') in type(model).__mro__, type(model).__mro__
MODELS.build(dict(type='mmdas.{door}', num_frames=2, head=dict({head})))
MODELS.build(dict(type='mmdas.{preprocessor}', num_frames=2, cell=dict(type='mmdas.DASCell')))
for registry, name in (
    (DATASETS, 'HoldoutDataset'),
    (HOOKS, 'PolicyHook'),
    (LOOPS, 'IterBasedSearchLoop'),
    (OPTIM_WRAPPER_CONSTRUCTORS, 'SearchOptimWrapperConstructor'),
    (TASK_UTILS, 'PerturbationSelection'),
):
    assert registry.get('mmdas.' + name).__module__.startswith('mmdas.'), name
"""
INHERIT = """
import mmdas
from mmengine.config import Config
config = Config.fromfile({file!r})
assert config.train_cfg.max_iters == 20000
assert config.model.backbone.depth == 18
assert config.search_hooks[0].type.startswith('mmdas.')
assert config.num_frames == 4
"""


def run(code):
    result = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    'names',
    [
        dict(
            scope='mmseg',
            door='TemporalPoolingHead',
            head="type='FCNHead', in_channels=8, channels=8, num_classes=5",
            preprocessor='DASSegDataPreProcessor',
        ),
        dict(
            scope='mmpretrain',
            door='TemporalPoolingClsHead',
            head="type='LinearClsHead', in_channels=8, num_classes=5",
            preprocessor='DASClsDataPreprocessor',
        ),
    ],
    ids=lambda names: names['scope'],
)
@pytest.mark.slow
def test_prefixed_types_resolve_without_importing_mmdas_first(names):
    run(BUILD.format(**names))


def test_configs_of_every_installed_package_are_found_after_importing_mmdas(tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(
        "_base_ = ['mmseg::_base_/schedules/schedule_20k.py', 'mmpretrain::_base_/models/resnet18.py',\n"
        "         'mmdas::_base_/search.py']\n"
        'num_frames = 4\n'
    )
    run(INHERIT.format(file=str(file)))


@pytest.mark.parametrize(
    ('node', 'name'),
    [
        (dict(type='BN'), 'BN'),
        (dict(type='mmseg.FCNHead'), 'FCNHead'),
        (dict(type='torch.nn.SyncBatchNorm'), 'SyncBatchNorm'),
        (dict(type=nn.SyncBatchNorm), 'SyncBatchNorm'),
        (dict(type=len), 'len'),
        (dict(depth=18), ''),
        (dict(type=None), ''),
        ([1], ''),
    ],
)
def test_name_of_a_type_is_that_of_its_text_or_class(node, name: str):
    assert type_name(node) == name


def test_former_names_are_the_same_things():
    with pytest.warns(DeprecationWarning, match='now mmdas.search.das'):
        from mmdas import cell
    import mmdas.search.das
    from mmdas import models

    for name in mmdas.search.das.__all__:
        assert getattr(cell, name) is getattr(mmdas.search.das, name)
    for former, name in models.FORMER.items():
        assert getattr(models, former) is getattr(models, name)


def test_inferencers_find_the_functions_of_a_toolbox_without_a_warning(monkeypatch):
    logged = []
    monkeypatch.setattr(FUNCTIONS, '_children', {})
    monkeypatch.setattr('mmengine.logging.print_log', lambda message, **_: logged.append(message))

    def find():
        logged.clear()
        with FUNCTIONS.switch_scope_and_registry('mmseg') as registry:
            return registry.get('pseudo_collate')

    find()
    assert any('Failed to search registry with scope "mmseg"' in message for message in logged)
    for _ in range(2):
        add_missing_registry('mmseg')
        assert find() is pseudo_collate
        assert not any('Failed' in message for message in logged)
