"""Options of the command line in the places of a config where they count."""

import copy
from argparse import ArgumentParser
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdas.apis import accept_differences, build_runner, check_num_frames, preprocessor_of, set_policy
from mmdas.apis.das_settings import check_operations, check_preprocessors
from mmdas.commands import test, train
from mmdas.search.das import Policy

PLACES = {'mmseg': 'model.data_preprocessor', 'mmpretrain': 'data_preprocessor'}
each_toolbox = pytest.mark.parametrize('toolbox', PLACES)


def das_config(toolbox: str, **preprocessor) -> Config:
    """The parts of a config with frames that matter here."""
    frames = dict(num_frames=4)
    model = dict(backbone=dict(frames, fusion=dict(type='F')), decode_head=[dict(frames), dict(frames)], neck={})
    cfg = dict(default_scope=toolbox, model=model, data_preprocessor=dict(type='Plain', size=(8, 8)))
    place = model if toolbox == 'mmseg' else cfg
    place['data_preprocessor'] = dict(frames, **preprocessor)
    return Config(cfg)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    Policy.random(4).save(tmp_path / 'policy.json')
    return tmp_path / 'policy.json'


@each_toolbox
@pytest.mark.parametrize('before', [{}, dict(policy='absent.json')], ids=['repeat', 'das'])
def test_policy_goes_to_the_preprocessor_that_counts(toolbox: str, policy: Path, before: dict):
    cfg = das_config(toolbox, **before)
    set_policy(cfg, policy)
    owner = cfg.model if toolbox == 'mmseg' else cfg
    assert owner.data_preprocessor.policy == str(policy)
    check_preprocessors(cfg)
    check_num_frames(cfg)


@each_toolbox
def test_policy_of_a_search_or_a_plain_config_is_refused_with_the_place(toolbox: str, policy: Path):
    with pytest.raises(ValueError, match=f'{PLACES[toolbox]}.cell says that this config searches'):
        set_policy(das_config(toolbox, cell=dict(type='mmdas.DASCell')), policy)
    plain = das_config(toolbox)
    del preprocessor_of(plain)['num_frames']
    with pytest.raises(ValueError, match=f'{PLACES[toolbox]} has no num_frames.*makes no clips'):
        set_policy(plain, policy)


@each_toolbox
def test_policy_file_that_is_not_there_is_an_error_even_with_a_checkpoint(toolbox: str):
    cfg = das_config(toolbox)
    cfg.load_from = 'model.pth'
    with pytest.raises(FileNotFoundError, match='no policy at none.json'):
        set_policy(cfg, 'none.json')
    set_policy(cfg, None)
    assert 'policy' not in preprocessor_of(cfg)


@each_toolbox
def test_absent_policy_of_the_config_names_its_key_unless_a_checkpoint_may_bring_it(toolbox: str):
    cfg = das_config(toolbox, policy='none.json')
    with pytest.raises(FileNotFoundError, match=rf'none.json.*--policy FILE \({PLACES[toolbox]}\.policy of the config'):
        check_num_frames(cfg)
    cfg.load_from = 'model.pth'
    check_num_frames(cfg)


@each_toolbox
def test_difference_is_accepted_in_all_places_with_frames(toolbox: str):
    cfg = das_config(toolbox)
    accept_differences(cfg)
    parts = (preprocessor_of(cfg), cfg.model.backbone, *cfg.model.decode_head)
    assert all(part.accept_difference for part in parts)
    assert 'accept_difference' not in cfg.model.backbone.fusion
    assert 'accept_difference' not in cfg.model.neck


@pytest.mark.parametrize('key', ['policy', 'cell', 'num_frames'])
def test_a_second_preprocessor_with_options_of_the_clip_is_refused_before_anything_is_built(key: str, tmp_path: Path):
    cfg = das_config('mmseg', policy='a.json')
    cfg.work_dir = str(tmp_path / 'run')
    cfg.data_preprocessor[key] = 'other'
    with pytest.raises(ValueError, match=rf"data_preprocessor.{key} is 'other'.*set model.data_preprocessor.{key}"):
        build_runner(cfg)
    assert not (tmp_path / 'run').exists()


@each_toolbox
def test_augments_of_a_plain_preprocessor_are_refused_with_the_type_that_takes_them(toolbox: str):
    augments = [dict(type='mmdas.PolicyAugment', policy='a.json')]
    wanted = {'mmseg': 'mmdas.DASSegDataPreProcessor', 'mmpretrain': 'mmdas.DASClsDataPreprocessor'}[toolbox]
    cfg = das_config(toolbox, augments=augments)
    with pytest.raises(
        ValueError, match=f"{PLACES[toolbox]}.augments is set, .* set {PLACES[toolbox]}.type='{wanted}'"
    ):
        check_preprocessors(cfg)
    preprocessor_of(cfg).type = wanted
    check_preprocessors(cfg)
    preprocessor_of(cfg).augments = augments[0]
    with pytest.raises(ValueError, match='augments is a dict, expected a list'):
        check_preprocessors(cfg)


def test_one_preprocessor_written_in_both_places_is_no_second_one(monkeypatch: pytest.MonkeyPatch, policy: Path):
    messages = []
    monkeypatch.setattr('mmdas.apis.das_settings.print_log', lambda message, **_: messages.append(message))
    cfg = das_config('mmseg', policy='a.json')
    cfg.data_preprocessor = copy.deepcopy(cfg.model.data_preprocessor)
    check_preprocessors(cfg)
    assert messages == []
    set_policy(cfg, policy)
    check_preprocessors(cfg)
    assert "data_preprocessor.policy is 'a.json'" in messages[0]
    assert str(policy) in messages[0]


@pytest.mark.parametrize('command', [train, test])
def test_commands_take_both_options(command):
    parser = ArgumentParser()
    command.add_arguments(parser)
    files = ['config.py', *(['model.pth'] if command is test else [])]
    args = parser.parse_args([*files, '--policy', 'p.json', '--accept-difference'])
    assert (args.policy, args.accept_difference) == ('p.json', True)


@pytest.mark.parametrize(
    ('name', 'bounds', 'frames', 'message'),
    [
        ('horizontal_flip', (2, 2), 4, r'one odd number of flips, such as \(1, 1\), .*, got \(2, 2\)'),
        ('posterize', (0, 0.4), 2, 'reaches 0.4 bits removed .* of 2 frames'),
        ('rotate', (0, 0), 4, 'leave the operation out of the space'),
    ],
)
@pytest.mark.parametrize('place', ['data_preprocessor', 'model.data_preprocessor'])
def test_a_range_that_never_acts_is_refused_with_its_place(place, name, bounds, frames, message):
    cell = dict(type='mmdas.DASCell', space=['identity', name], ranges={name: bounds})
    own = dict(data_preprocessor=dict(num_frames=frames, cell=cell))
    cfg = Config(dict(model=own) if place.startswith('model') else {**own, 'model': {}})
    with pytest.raises(ValueError, match=f'^{place}.cell: the range of {name}.*{message}'):
        check_operations(cfg)
