import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import VISUALIZERS

from mmdas.apis import adapt_to_device, build_runner, check_num_frames, enable_amp, load_config, set_resume
from mmdas.apis import device as device_api
from mmdas.apis import runner as runner_api
from mmdas.apis.device import check_precision
from mmdas.apis.reliable_run import check_work_dir, make_reliable
from mmdas.apis.runner import add_data_checks, set_dataloader_defaults
from mmdas.engine.checkpoints import CheckpointError
from mmdas.search.das import Policy

ROOT = Path(__file__).parents[2]

TOY_PARTS = """
import torch
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, norm_cfg, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.norm = {'BN': torch.nn.BatchNorm1d, 'SyncBN': torch.nn.SyncBatchNorm}[norm_cfg['type']](2)
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.layer(self.norm(torch.stack(inputs))).square().mean()}


@DATASETS.register_module()
class ToyData(torch.utils.data.Dataset):
    metainfo = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {'inputs': torch.tensor([index, 1.0])}
"""
TOY_CONFIG = """
custom_imports = dict(imports=['toy_parts'])
model = dict(type='ToyModel', norm_cfg=dict(type='SyncBN'))
dataset = dict(type='ToyData')
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=True))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
"""


@pytest.fixture
def toy_config(tmp_path: Path) -> Path:
    (tmp_path / 'toy_parts.py').write_text(TOY_PARTS)
    (tmp_path / 'toy.py').write_text(TOY_CONFIG)
    return tmp_path / 'toy.py'


def write_config(folder: Path, text: str, name: str = 'small.py') -> Path:
    path = folder / name
    path.write_text(text)
    return path


def set_device(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    for module in (device_api, runner_api):
        monkeypatch.setattr(module, 'get_device', lambda: device)


def das_config(preprocessor: int = 8, backbone: int = 8, head: int = 8, **others) -> Config:
    model = dict(
        data_preprocessor=dict(num_frames=preprocessor),
        backbone=dict(num_frames=backbone),
        auxiliary_head=[dict(num_frames=8), dict(num_frames=head)],
    )
    return Config(dict(model=model, **others))


# load_config


@pytest.mark.parametrize(
    ('text', 'option', 'expected'),
    [
        ('x = 1', None, 'work_dirs/small'),
        ("work_dir = 'here'", None, 'here'),
        ("work_dir = 'here'", 'there', 'there'),
    ],
)
def test_work_dir_is_the_option_then_the_config_then_its_name(tmp_path, text, option, expected):
    cfg = load_config(write_config(tmp_path, text), work_dir=option)
    assert Path(cfg.work_dir) == Path(expected)


def test_options_replace_nested_settings_of_the_config(tmp_path):
    path = write_config(tmp_path, 'a = dict(b=[dict(c=1)], d=2)')
    cfg = load_config(path, cfg_options={'a.b.0.c': 5})
    assert cfg.a.to_dict() == {'b': [{'c': 5}], 'd': 2}


@pytest.mark.parametrize('base', ['mmseg::_base_/schedules/schedule_20k.py', 'mmpretrain::_base_/default_runtime.py'])
def test_config_may_inherit_from_an_installed_toolbox(tmp_path, base):
    cfg = load_config(write_config(tmp_path, f"_base_ = ['{base}']"))
    assert 'default_hooks' in cfg


@pytest.mark.parametrize('config', ['_base_/search.py', '_base_/datasets/digit_scenes.py'])
def test_config_inherited_from_the_installed_mmdas_equals_the_config(tmp_path, config):
    cfg = load_config(write_config(tmp_path, f"_base_ = ['mmdas::{config}']"))
    expected = Config.fromfile(ROOT / 'configs' / config).to_dict()
    assert {key: cfg[key] for key in expected} == expected


# add_data_checks


def test_every_run_checks_its_files_and_labels_once():
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    add_data_checks(cfg)
    add_data_checks(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == ['EMAHook', 'mmdas.DataFilesHook', 'mmdas.LabelCheckHook']


# set_resume


def test_resume_auto_takes_the_newest_checkpoint_of_the_work_dir(tmp_path):
    for epoch in (1, 2):
        torch.save(dict(meta=dict(epoch=epoch, iter=epoch, seed=7)), tmp_path / f'epoch_{epoch}.pth')
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    set_resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'epoch_2.pth'))
    assert cfg.randomness == dict(seed=7)


def test_resume_keeps_a_seed_that_the_config_names(tmp_path):
    torch.save(dict(meta=dict(epoch=1, iter=1, seed=7)), tmp_path / 'epoch_1.pth')
    cfg = Config(dict(work_dir=str(tmp_path), randomness=dict(seed=3)))
    set_resume(cfg, str(tmp_path / 'epoch_1.pth'))
    assert cfg.randomness.seed == 3


def test_resume_refuses_a_damaged_checkpoint(tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'PK')
    cfg = Config(dict(work_dir=str(tmp_path)))
    for resume in ('auto', str(tmp_path / 'epoch_1.pth')):
        with pytest.raises(CheckpointError, match='epoch_1.pth'):
            set_resume(cfg, resume)


@pytest.mark.parametrize('resume', [None, 'auto'])
def test_a_run_over_the_checkpoints_of_another_says_so(tmp_path, resume):
    torch.save(dict(meta=dict(epoch=1, iter=1)), tmp_path / 'epoch_1.pth')
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmdas.apis.resuming.print_log', lambda text, *_: said.append(text))
        set_resume(Config(dict(work_dir=str(tmp_path), train_cfg=dict(max_epochs=1))), resume)
    assert any('will overwrite' in text for text in said) == (resume is None)


def test_resume_auto_without_checkpoint_keeps_the_pretrained_weights(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    set_resume(cfg, 'auto')
    assert not cfg.get('resume')
    assert cfg.load_from == 'pretrained.pth'


def test_resume_from_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint .*none.pth'):
        set_resume(Config(dict(work_dir=str(tmp_path))), str(tmp_path / 'none.pth'))


def test_no_resume_leaves_the_config_as_it_is():
    cfg = Config(dict(work_dir='x', load_from='a.pth'))
    set_resume(cfg, None)
    assert cfg.to_dict() == dict(work_dir='x', load_from='a.pth')


# enable_amp


def test_a_config_in_mixed_precision_is_told_without_a_gpu(monkeypatch):
    plain, mixed = dict(type='OptimWrapper'), dict(type='AmpOptimWrapper', dtype='bfloat16')
    monkeypatch.setattr(device_api, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match='optim_wrapper.type is AmpOptimWrapper, which needs a GPU.*"cpu"'):
        check_precision(Config(dict(optim_wrapper=mixed)))
    with pytest.raises(ValueError, match='optim_wrapper.weights.type is'):
        check_precision(Config(dict(optim_wrapper=dict(weights=mixed, policy=plain))))
    check_precision(Config(dict(optim_wrapper=plain)))
    monkeypatch.setattr(device_api, 'get_device', lambda: 'cuda')
    check_precision(Config(dict(optim_wrapper=mixed)))


def test_amp_on_the_cpu_is_an_error_that_names_the_option(monkeypatch):
    set_device(monkeypatch, 'cpu')
    with pytest.raises(RuntimeError, match='--amp needs a GPU.*"cpu"'):
        enable_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))))


@pytest.mark.parametrize(
    'wrapper', [dict(optimizer={}), dict(type='OptimWrapper'), dict(type='AmpOptimWrapper'), dict(type=OptimWrapper)]
)
def test_amp_sets_the_wrapper_and_a_dynamic_loss_scale(monkeypatch, wrapper):
    set_device(monkeypatch, 'cuda')
    cfg = Config(dict(optim_wrapper=wrapper))
    enable_amp(cfg)
    assert cfg.optim_wrapper.to_dict() == {**wrapper, 'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}


def test_amp_of_a_search_sets_both_wrappers(monkeypatch):
    set_device(monkeypatch, 'cuda')
    parts = dict(weights=dict(type='OptimWrapper'), policy=dict(type='OptimWrapper', loss_scale=8.0))
    cfg = Config(dict(optim_wrapper=dict(constructor='mmdas.SearchOptimWrapperConstructor', **parts)))
    enable_amp(cfg)
    assert cfg.optim_wrapper.weights.to_dict() == dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert cfg.optim_wrapper.policy.to_dict() == dict(type='AmpOptimWrapper', loss_scale=8.0)
    assert 'type' not in cfg.optim_wrapper


def test_amp_refuses_a_wrapper_of_another_type(monkeypatch):
    set_device(monkeypatch, 'cuda')
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        enable_amp(Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'))))


# check_num_frames


def test_equal_numbers_of_frames_pass():
    check_num_frames(das_config(num_frames=8))


def test_parts_that_leave_the_frames_open_pass():
    cfg = das_config()
    cfg.model.backbone = dict(type='mmdas.FrameFusionBackbone')
    cfg.model.auxiliary_head = [dict(type='mmdas.TemporalPoolingHead'), dict(num_frames=8)]
    check_num_frames(cfg)


def test_config_without_frames_passes_whatever_its_top_says():
    check_num_frames(Config(dict(num_frames=4, model=dict(backbone=dict(depth=18)))))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (das_config(preprocessor=4), r'data_preprocessor.num_frames is 4, backbone.num_frames is 8'),
        (das_config(head=2), r'auxiliary_head.1.num_frames is 2'),
        (das_config(num_frames=16), r'num_frames at the top of the config is 16'),
        (
            Config(
                dict(data_preprocessor=dict(num_frames=4), model=dict(backbone=dict(num_frames=4), head=dict(type='A')))
            ),
            r'head is a plain A, .* wrap it in mmdas.TemporalPooling',  # a plain head would take frames for images
        ),
        (Config(dict(model=dict(backbone=dict(num_frames=8)))), r'data_preprocessor.num_frames is 1'),
        (
            Config(dict(data_preprocessor=dict(num_frames=4), model=dict(backbone=dict(num_frames=8)))),
            r'data_preprocessor.num_frames is 4',
        ),
        (
            Config(dict(model=dict(data_preprocessor=dict(num_frames=8, cell=dict(num_frames=4))))),
            r'data_preprocessor.cell.num_frames is 4',
        ),
        (
            Config(dict(model=dict(type='SegTTAModel', module=das_config(backbone=1).model))),
            r'backbone.num_frames is 1',
        ),
    ],
)
def test_different_numbers_of_frames_are_an_error_that_names_the_places(cfg, message):
    with pytest.raises(ValueError, match=message):
        check_num_frames(cfg)


def test_policy_for_another_number_of_frames_is_an_error_that_names_the_file(tmp_path):
    policy = tmp_path / 'policy.json'
    Policy.random(num_frames=4).save(policy)
    cfg = das_config()
    cfg.model.data_preprocessor.policy = str(policy)
    with pytest.raises(ValueError, match=r'data_preprocessor.policy \(.*policy.json\) is 4'):
        check_num_frames(cfg)


def test_policy_for_the_same_number_of_frames_passes(tmp_path):
    policy = tmp_path / 'policy.json'
    Policy.random(num_frames=8).save(policy)
    cfg = das_config()
    cfg.model.data_preprocessor.policy = str(policy)
    check_num_frames(cfg)


def test_missing_policy_is_an_error_before_anything_is_built(tmp_path):
    cfg = das_config(work_dir=str(tmp_path / 'run'))
    cfg.model.data_preprocessor.policy = 'no/policy.json'
    with pytest.raises(FileNotFoundError, match='no/policy.json.*search'):
        build_runner(cfg)
    assert not (tmp_path / 'run').exists()


# adapt_to_device and the data loaders


def test_without_gpu_every_synchronised_norm_becomes_a_plain_one(monkeypatch):
    set_device(monkeypatch, 'cpu')
    norm = dict(type='SyncBN', requires_grad=True)
    others = [dict(type='mmseg.SyncBN'), dict(type=torch.nn.SyncBatchNorm), dict(type='torch.nn.SyncBatchNorm')]
    model = dict(backbone=dict(norm_cfg=norm), heads=[dict(norm_cfg=norm), *(dict(norm_cfg=one) for one in others)])
    cfg = Config(dict(model=model))
    adapt_to_device(cfg)
    assert 'SyncBN' not in json.dumps(cfg.model.to_dict())
    assert cfg.model.backbone.norm_cfg.to_dict() == dict(type='BN', requires_grad=True)


def test_with_gpu_the_config_stays_as_it_is(monkeypatch):
    set_device(monkeypatch, 'cuda')
    cfg = Config(dict(launcher='pytorch', model=dict(norm_cfg=dict(type='SyncBN'))))
    before = cfg.to_dict()
    adapt_to_device(cfg)
    assert cfg.to_dict() == before


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_cluster_launcher_without_gpu_is_an_error_that_names_the_way_out(monkeypatch, launcher):
    set_device(monkeypatch, 'cpu')
    with pytest.raises(ValueError, match=f'{launcher} needs GPUs.*dist_train.sh'):
        build_runner(Config(dict(launcher=launcher, model={})))


def test_loaders_of_classification_get_the_defaults_of_its_tools(monkeypatch):
    set_device(monkeypatch, 'cuda')
    loaders = dict(train_dataloader=dict(dataset={}, num_workers=2), test_dataloader=dict(dataset={}, pin_memory=False))
    search = dict(policy_dataloader=dict(dataset={}, pin_memory=False))
    cfg = Config(dict(default_scope='mmpretrain', train_cfg=search, **loaders))
    set_dataloader_defaults(cfg)
    collate = dict(type='default_collate')
    assert cfg.train_dataloader.to_dict() == dict(
        dataset={}, num_workers=2, collate_fn=collate, persistent_workers=True, pin_memory=True
    )
    without_workers = dict(dataset={}, collate_fn=collate, persistent_workers=False, pin_memory=False)
    assert cfg.test_dataloader.to_dict() == without_workers
    assert cfg.train_cfg.policy_dataloader.to_dict() == without_workers


# whole runs


def test_runner_is_of_the_type_that_the_config_names(toy_config, monkeypatch):
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    class OwnRunner(Runner):
        pass

    monkeypatch.syspath_prepend(str(toy_config.parent))
    monkeypatch.setitem(RUNNERS._module_dict, 'OwnRunner', OwnRunner)
    cfg = load_config(toy_config, work_dir=str(toy_config.parent / 'run'), cfg_options={'runner_type': 'OwnRunner'})
    assert type(build_runner(cfg)) is OwnRunner


@pytest.mark.slow
def test_two_cpu_processes_train_by_the_shell_script(toy_config):
    folder = toy_config.parent
    paths = [str(Path(sys.executable).parent), os.environ['PATH']]
    environment = {
        **os.environ,
        'PATH': os.pathsep.join(paths),
        'PYTHONPATH': str(folder),
        'CUDA_VISIBLE_DEVICES': '-1',
        'PORT': str(20000 + os.getpid() % 10000),
    }
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), str(toy_config), '2', '--work-dir', str(folder / 'run')]
    finished = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert 'Epoch(train) [1][2/2]' in finished.stdout + finished.stderr  # 8 images, 2 a process and step
    assert (folder / 'run/epoch_1.pth').is_file()


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='lists the threads of a process in /proc')
@pytest.mark.slow
def test_threads_of_the_process_group_end_with_the_run(toy_config):
    script = """
import sys
from pathlib import Path
from mmdas.apis import build_runner, end_processes, load_config

def names():
    return [file.read_text().strip() for file in Path('/proc/self/task').glob('*/comm')]

config, work_dir = sys.argv[1:]
build_runner(load_config(config, work_dir, launcher='pytorch')).train()
assert any('gloo' in name for name in names()), names()
end_processes()
assert not any('gloo' in name for name in names()), names()
"""
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(toy_config.parent), str(ROOT)]),
        'CUDA_VISIBLE_DEVICES': '-1',
        'RANK': '0',
        'WORLD_SIZE': '1',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(30000 + os.getpid() % 10000),
    }
    command = [sys.executable, '-c', script, str(toy_config), str(toy_config.parent / 'run')]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]


def test_a_preprocessor_without_its_frames_or_of_the_other_toolbox_is_named():
    parts = dict(backbone=dict(type='mmdas.FrameFusionBackbone'), head=dict(type='mmdas.TemporalPoolingClsHead'))
    own = dict(type='mmdas.DASClsDataPreprocessor', policy=None)
    cfg = Config(dict(default_scope='mmpretrain', num_frames=4, model=dict(data_preprocessor=own, **parts)))
    cfg.model.backbone.num_frames = 4
    with pytest.raises(ValueError, match=r'model.data_preprocessor.num_frames is missing, while backbone'):
        check_num_frames(cfg)
    cfg.model.data_preprocessor.type = 'mmdas.DASSegDataPreProcessor'
    with pytest.raises(ValueError, match=r'but the config is one of mmpretrain; use mmdas.DASClsDataPreprocessor'):
        check_num_frames(cfg)


@pytest.mark.parametrize('named', [False, True])
def test_a_resume_that_the_config_asks_for_takes_what_can_be_read(tmp_path, named):
    torch.save(dict(meta=dict(epoch=1, iter=1)), tmp_path / 'epoch_1.pth')
    (tmp_path / 'epoch_2.pth').write_bytes(b'PK')
    cfg = Config(dict(work_dir=str(tmp_path), resume=True, load_from=str(tmp_path / 'epoch_2.pth') if named else None))
    if named:
        with pytest.raises(CheckpointError, match='epoch_2.pth'):
            set_resume(cfg, None)
    else:
        set_resume(cfg, None)
        assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'epoch_1.pth'))


def test_early_stopping_counts_before_the_best_checkpoint_is_written():
    hooks = [dict(type='EarlyStoppingHook', monitor='acc'), dict(type='mmengine.EarlyStoppingHook', priority='LOWEST')]
    cfg = Config(dict(train_cfg=dict(by_epoch=True, max_epochs=1), custom_hooks=hooks))
    make_reliable(cfg)
    assert [hook.get('priority') for hook in cfg.custom_hooks[:2]] == ['LOW', 'LOWEST']


def test_a_work_dir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match=r'work dir .*file/run: .*; give another --work-dir'):
        check_work_dir(tmp_path / 'file' / 'run')
    check_work_dir(tmp_path / 'new' / 'run')
    assert not list((tmp_path / 'new' / 'run').iterdir())


def test_every_run_of_a_process_writes_its_curves_to_its_own_folder(tmp_path, monkeypatch, toy_config):
    """After an inferencer, too, which takes the name of the config without a folder."""
    monkeypatch.syspath_prepend(str(toy_config.parent))
    shown = dict(type='Visualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')])
    with pytest.warns(UserWarning, match='save_dir'):
        VISUALIZERS.build(copy.deepcopy(shown))
    for name in ('first', 'second'):
        cfg = load_config(toy_config, work_dir=str(tmp_path / name))
        cfg.visualizer, cfg.log_level = copy.deepcopy(shown), 'ERROR'
        cfg.default_hooks = dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None)
        build_runner(cfg).train()
        (path,) = (tmp_path / name).rglob('scalars.json')
        assert [json.loads(line)['iter'] for line in path.read_text().splitlines()] == [1, 2, 3, 4]
    assert len(list(tmp_path.rglob('scalars.json'))) == 2
