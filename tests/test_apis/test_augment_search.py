"""Any plain config searches an augmentation and trains with one."""

import copy
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmdas.apis import (
    AUGMENT_SEARCHES,
    DASOptions,
    check_conversion,
    convert,
    convert_augment_search,
    fixed_policy,
    load_config,
    preprocessor_of,
    set_augment,
)
from mmdas.apis.das_options import ConversionError
from mmdas.commands import main
from mmdas.commands.train import seconds_of
from mmdas.registry import type_name
from mmdas.search import PolicyError, load_policy
from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.das import Policy
from mmdas.search.ddas import uniform_policy

HOSTS = (
    'mmpretrain::resnet/resnet18_8xb16_cifar10.py',
    'mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k.py',  # of tokens
    'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
)


@pytest.fixture(scope='module', params=HOSTS, ids=lambda name: Path(name).stem)
def host(request: pytest.FixtureRequest) -> Config:
    return load_config(request.param)


@pytest.mark.parametrize('method', AUGMENT_SEARCHES)
def test_a_search_keeps_the_host_s_model_and_holds_data_out(host: Config, method: str):
    made = convert_augment_search(host, method)
    check_conversion(made)
    assert made.model.backbone == host.model.backbone
    assert made.train_dataloader.dataset.dataset == host.train_dataloader.dataset
    assert made.train_dataloader.dataset.type == 'mmdas.HoldoutDataset'
    assert made.train_dataloader.batch_size == host.train_dataloader.batch_size
    preprocessor = preprocessor_of(made)
    assert preprocessor.num_frames == 1
    assert [type_name(augment) for augment in preprocessor.augments] == ['SearchedAugment']
    assert made.train_cfg.selection is None if 'selection' in made.train_cfg else True
    assert Path(made.filename).stem == f'search-{method}_{Path(host.filename).stem}'


def test_a_search_has_a_tenth_of_the_training_or_what_is_asked(host: Config):
    unit = 'epochs' if host.train_cfg.get('max_epochs') else 'iters'
    made = convert_augment_search(host, 'ddas')
    assert made.train_cfg[f'max_{unit}'] == round(host.train_cfg[f'max_{unit}'] / 10)
    made = convert_augment_search(host, 'ddas', DASOptions(search_length=7))
    assert made.train_cfg[f'max_{unit}'] == made.param_scheduler.weights[0].T_max == 7


@pytest.mark.parametrize('das', [None, 'repeat'])
def test_labels_that_do_not_count_are_those_that_the_heads_leave_out(das: str | None):
    for value in (255, 19):  # whatever pads the label maps
        options = {'model.data_preprocessor.seg_pad_val': 7}
        for place in ('decode_head', 'auxiliary_head'):
            options[f'model.{place}.ignore_index'] = value
        cfg = load_config(HOSTS[2], cfg_options=options, das=das)
        set_augment(cfg, 'uniform')
        assert preprocessor_of(cfg).augments[0].ignore_index == value


def test_labels_that_do_not_count_are_those_of_a_cascade():
    cfg = load_config('ocrnet_hr18_4xb2-40k_cityscapes-512x1024')
    for head in cfg.model.decode_head:
        head.ignore_index = 19
    for made in (cfg, convert(cfg, 'repeat')):
        set_augment(made, 'uniform')
        assert preprocessor_of(made).augments[0].ignore_index == 19


def test_heads_that_leave_different_labels_out_are_refused():
    cfg = load_config(HOSTS[2], cfg_options={'model.decode_head.ignore_index': 19})
    text = 'model.decode_head.ignore_index is 19, model.auxiliary_head.ignore_index is 255: .* set the same'
    with pytest.raises(ConversionError, match=text):
        set_augment(cfg, 'uniform')


def test_what_is_no_file_is_told_with_what_was_meant(tmp_path: Path):
    cfg = load_config(HOSTS[0])
    with pytest.raises(FileNotFoundError, match='there is no file unifrom; did you mean uniform'):
        set_augment(cfg, 'unifrom')
    for word, meant in (
        ('RandAugment', 'randaugment'),
        ('autoaugment-svnh', 'autoaugment-svhn'),
        ('autoaugment-', 'autoaugment'),
        ('randaugment,cutmix', 'randaugment cutmix'),
    ):
        with pytest.raises(FileNotFoundError, match=f'there is no file {word}; did you mean {meant}[?].*with spaces'):
            set_augment(cfg, word)
    for word in ('', 'keep-'):
        with pytest.raises(FileNotFoundError, match='the name of a policy is empty'):
            set_augment(cfg, word)
    with pytest.raises(FileNotFoundError, match='is a folder without a policy.json'):
        set_augment(cfg, tmp_path)
    uniform_policy().save(tmp_path / 'policy.json')
    with pytest.raises(FileNotFoundError, match='is a folder; give .*policy.json'):
        set_augment(cfg, tmp_path)


def test_a_training_takes_a_policy_and_nothing_else_changes(host: Config, tmp_path: Path):
    uniform_policy().save(tmp_path / 'mine.json')
    changed = load_config(host.filename, work_dir='runs')
    set_augment(changed, tmp_path / 'mine.json', own_folder=True)
    assert changed.work_dir == 'runs_mine'
    preprocessor = preprocessor_of(changed)
    assert preprocessor.augments[-1].policy == str(tmp_path / 'mine.json')
    for key in ('type', 'num_frames', 'augments'):
        preprocessor.pop(key)
    plain = {key: value for key, value in preprocessor_of(host).items() if key != 'type'}
    assert dict(preprocessor) == plain
    assert changed.train_dataloader == host.train_dataloader


def test_the_folder_of_a_search_names_the_run_of_its_policy(tmp_path: Path):
    folder = tmp_path / 'search-ddas_x'
    folder.mkdir()
    uniform_policy().save(folder / 'policy.json')
    cfg = load_config(HOSTS[0], work_dir='runs')
    set_augment(cfg, folder / 'policy.json', own_folder=True)
    assert cfg.work_dir == 'runs_search-ddas_x'


def test_a_policy_and_the_same_behind_keep_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path('mine').mkdir()
    uniform_policy().save('mine/policy.json')
    uniform_policy().save('keep-it.json')
    plain = load_config(HOSTS[0], work_dir='runs')
    for word, folder, kind in (
        ('mine/policy.json', 'runs_mine', 'mmdas.PolicyAugment'),
        ('keep-mine/policy.json', 'runs_keep-mine', 'mmdas.KeepPaste'),
        ('keep-uniform', 'runs_keep-uniform', 'mmdas.KeepPaste'),
        ('keep-it.json', 'runs_keep-it', 'mmdas.PolicyAugment'),  # a file of that name
    ):
        cfg = copy.deepcopy(plain)
        set_augment(cfg, word, own_folder=True)
        assert cfg.work_dir == folder
        assert preprocessor_of(cfg).augments[0].type == kind


def test_das_trains_with_an_augmentation_too():
    cfg = load_config(HOSTS[0], das='repeat', options=DASOptions(fusion='tsm'))
    set_augment(cfg, 'uniform')
    assert preprocessor_of(cfg).num_frames == 4
    assert len(preprocessor_of(cfg).augments) == 1
    set_augment(cfg, 'uniform')
    assert len(preprocessor_of(cfg).augments) == 2


def test_what_cannot_be_used_is_refused(tmp_path: Path):
    cfg = load_config(HOSTS[0])
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        set_augment(cfg, 'nowhere.json')
    Policy.random(3).save(tmp_path / 'clip.json')
    with pytest.raises(PolicyError, match='clip.json is a policy of frames, which --das takes'):
        set_augment(cfg, tmp_path / 'clip.json')
    with pytest.raises(ValueError, match="method must be one of .* got 'dadas'"):
        convert_augment_search(cfg, 'dadas')
    cfg.model.type = 'MoCo'
    with pytest.raises(ConversionError, match='model.type is MoCo'):
        convert_augment_search(cfg, 'ddas')
    assert fixed_policy('something') is None


@pytest.mark.parametrize(
    ('text', 'seconds'), [('90', 90), ('30m', 1800), ('1.5h', 5400), ('1d', 86400), ('20 s'.replace(' ', ''), 20)]
)
def test_a_budget_is_a_time(text: str, seconds: float):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize('text', ['', '0', '-3h', 'two hours', '5w'])
def test_a_budget_that_is_no_time_is_refused(text: str):
    with pytest.raises(ValueError, match='give a time such as'):
        seconds_of(text)


PLAIN = """
_base_ = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
model = dict(
    backbone=dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,), base_channels=4, stem_channels=4),
    head=dict(in_channels=8, num_classes=2, topk=(1,)),
)
pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=16), dict(type='PackInputs')]
data = dict(
    _delete_=True, batch_size=4, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_root={root!r}, pipeline=pipeline),
)
train_dataloader = data
val_dataloader = data
test_dataloader = data
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=2, val_interval=2)
val_evaluator = dict(topk=(1,))
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """Config of a tiny classifier on files."""
    random = np.random.RandomState(0)
    for label in ('dark', 'light'):
        folder = tmp_path / 'data' / label
        folder.mkdir(parents=True)
        for number in range(8):
            cv2.imwrite(str(folder / f'{number}.png'), random.randint(0, 128, (18, 18, 3)) + 120 * (label == 'light'))
    path = tmp_path / 'plain.py'
    path.write_text(PLAIN.format(root=str(tmp_path / 'data')))
    return str(path)


@pytest.mark.parametrize('method', ['ddas'])  # the other searches run in tests/test_engine
@pytest.mark.slow
def test_from_a_plain_config_to_a_trained_model_by_two_commands(
    plain: str, tmp_path: Path, capsys: pytest.CaptureFixture, method: str
):
    search, run = tmp_path / 'search', tmp_path / 'run'
    command = ['search', plain, '--method', method, '--work-dir', str(search)]
    assert main([*command, '--cfg-options', 'train_cfg.max_epochs=2']) == 0
    assert (search / 'policy.png').is_file()
    assert f'train with it: mmdas train {plain} --augment {search}/policy.json' in capsys.readouterr().out
    assert isinstance(load_policy(search / 'policy.json'), AugmentPolicy)
    assert main(['train', plain, '--augment', f'{search}/policy.json', '--work-dir', str(run)]) == 0
    assert AugmentPolicy.load(run / 'augmentation.json') == AugmentPolicy.load(search / 'policy.json')
    shutil.rmtree(search)
    assert main(['test', plain, f'{run}/epoch_2.pth', '--work-dir', str(tmp_path / 'test')]) == 0  # a plain model


@pytest.mark.slow
def test_views_of_a_trained_model_are_searched_by_the_same_command(plain: str, tmp_path: Path, capsys):
    assert main(['train', plain, '--work-dir', str(tmp_path / 'run')]) == 0
    checkpoint = str(tmp_path / 'run/epoch_2.pth')
    command = ['search', plain, '--method', 'tta', '--checkpoint', checkpoint, '--work-dir', str(tmp_path / 'views')]
    assert main(command) == 0
    assert json.loads((tmp_path / 'views/views.json').read_text())['kind'] == 'test-time'
    assert main(['test', plain, checkpoint, '--policy', f'{tmp_path}/views/views.json']) == 0
    capsys.readouterr()
    assert main(['search', plain, '--method', 'ddas', '--checkpoint', checkpoint]) == 2
    assert '--checkpoint goes with --method tta' in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_within_a_budget_is_resumed_with_its_length(plain: str, tmp_path: Path):
    command = ['search', plain, '--method', 'ddas', '--work-dir', str(tmp_path / 'search'), '--budget', '4s']
    assert main(command) == 0
    length = Config.fromfile(tmp_path / 'search/search-ddas_plain.py').train_cfg.max_epochs
    assert length > 2
    policy = json.loads((tmp_path / 'search/policy.json').read_text())
    assert main([*command[:-1], '1h', '--resume']) == 0
    assert Config.fromfile(tmp_path / 'search/search-ddas_plain.py').train_cfg.max_epochs == length
    again = json.loads((tmp_path / 'search/policy.json').read_text())
    assert again['trajectory'] == policy['trajectory']


def test_options_of_frames_do_not_go_with_a_search_without_them(plain: str, capsys: pytest.CaptureFixture):
    assert main(['search', plain, '--method', 'ddas', '--frames', '4']) == 2
    assert '--frames is an option of DAS' in capsys.readouterr().err
