"""``mmdas improve``: the steps from a plain config to a better plain network."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from rich.console import Console
from step_processes import Ended
from tool_scripts import load_script

from mmdas.apis import load_config
from mmdas.commands import improve, main
from mmdas.commands.improve import NOTES
from mmdas.commands.parser import CommandError
from mmdas.commands.step_log import Report
from mmdas.commands.step_runs import StepRuns

CONFIG = str(Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')
ROOT = Path(__file__).parents[2]


@pytest.fixture
def in_process(monkeypatch):
    """Run the steps in this process, and count them."""
    commands = []

    def run(self, command, log):
        commands.append(list(command))
        log.write_text('')
        return Ended(main(command))

    monkeypatch.setattr(StepRuns, '_process', run)
    return commands


@pytest.fixture(scope='module')
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of trainings of two steps on a few scenes."""
    root = tmp_path_factory.mktemp('scenes')
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(root, num_train=8, num_val=1)
    short = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2']
    parts = [f'{part}_dataloader.dataset.data_root={root}' for part in ('train', 'val', 'test')]
    return [*short, 'train_dataloader.batch_size=2', *parts]


@pytest.mark.slow
def test_all_models_are_compared_and_the_best_plain_network_loads_without_mmdas(tmp_path, settings, in_process):
    out = tmp_path / 'out'
    arguments = ['improve', CONFIG, '--out', str(out), '--skip', 'das', '--cfg-options', *settings]
    assert main(arguments) == 0
    table = json.loads((out / NOTES).read_text())['table']
    assert [row['model'] for row in table] == ['plain', 'augmented', 'student']
    (best,) = (row for row in table if row.get('best'))
    assert best['val'] == max(row['val'] for row in table)
    student = next(command for command in in_process if command[0] == 'distill')
    teacher = max(table[:2], key=lambda row: row['val'])['model']
    assert student[3] == str(out / teacher / Path(CONFIG).name)
    assert Path(student[4]).parent == out / teacher
    cfg = Config.fromfile(CONFIG)
    with DefaultScope.overwrite_default_scope('mmseg'):
        plain = MODELS.build(cfg.model)
    content = torch.load(out / 'improved.pth', weights_only=True)
    plain.load_state_dict(content['state_dict'])
    saved = torch.load(out / best['model'] / 'iter_2.pth', weights_only=True)['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in plain.state_dict().items())

    before = len(in_process)
    assert main(arguments) == 0
    assert len(in_process) == before  # nothing is done twice
    assert json.loads((out / NOTES).read_text())['table'] == table


@pytest.mark.slow
def test_the_clip_of_das_and_its_teacher_are_named_in_the_commands(tmp_path, monkeypatch):
    """The whole way, with made-up results."""
    commands = []

    def run(self, command, log):
        commands.append(command)
        folder = Path(command[command.index('--work-dir') + 1])
        (folder / 'log').mkdir(parents=True, exist_ok=True)
        (folder / 'config.py').write_text('')
        weights = {'x': torch.ones(1), 'data_preprocessor._extra_state': {}}
        torch.save({'meta': {'iter': 2, 'epoch': 0}, 'state_dict': weights}, folder / 'iter_2.pth')
        (folder / 'last_checkpoint').write_text('iter_2.pth')
        score = {'plain': 1.0, 'augmented': 2.0, 'das': 4.0, 'student': 3.0}.get(folder.name.partition('_')[2], 0)
        (folder / 'log' / 'log.json').write_text(json.dumps({'mIoU': score, 'time': 0.5}))
        return Ended(0)

    monkeypatch.setattr(StepRuns, '_process', run)
    options = ['--augment', 'uniform', '--frames', '2', '--fusion', 'gsf', '--views', '2', '--search-budget', '1h']
    settings = ['--cfg-options', 'train_cfg.max_iters=2', 'randomness.seed=3']
    assert main(['improve', CONFIG, '--out', str(tmp_path), *options, *settings]) == 0
    search, das = (next(command for command in commands if word in command) for word in ('search', '--das'))
    assert search[2:8] == ['--frames', '2', '--fusion', 'gsf', '--budget', '1h']
    assert search[-2:] == ['--cfg-options', 'randomness.seed=3']  # a search has a length of its own
    assert das[das.index('--das') + 1] == str(tmp_path / 'search' / 'policy.json')
    assert das[das.index('--augment') + 1] == 'uniform'
    student = next(command for command in commands if command[0] == 'distill')
    assert student[2:9] == [
        '--teacher', str(tmp_path / 'das' / 'config.py'), str(tmp_path / 'das' / 'iter_2.pth'), '--views', '2',
        '--loss', 'kl',
    ]  # fmt: skip
    rows = {row['model']: row for row in json.loads((tmp_path / NOTES).read_text())['table']}
    assert rows['student']['best']
    assert rows['das']['frames'] == 2
    assert rows['student']['test_milliseconds'] == 500
    assert list(torch.load(tmp_path / 'improved.pth', weights_only=True)['state_dict']) == ['x']
    with pytest.raises(CommandError, match=r'has the step "augmented" of another command.* give another folder by'):
        improve.run(read(['improve', CONFIG, '--out', str(tmp_path), '--augment', 'randaugment', *settings]))


def read(arguments):
    """Options of ``mmdas improve``."""
    from mmdas.commands.parser import Parser

    parser = Parser()
    improve.add_arguments(parser)
    return parser.parse_args(arguments[1:])


@pytest.mark.slow
def test_a_step_that_fails_ends_with_its_log_and_is_run_again(tmp_path):
    runs = StepRuns(tmp_path, Report(Console()), NOTES)
    with pytest.raises(CommandError, match=r'"a try" failed; its log, .*a.log, ends with:\nmmdas: there is'):
        runs.run('a', 'a try', ['nothing'])
    again = StepRuns(tmp_path, Report(Console()), NOTES)
    assert not again.notes['a']['done']
    runs.run('b', 'another', ['--version'])
    assert (tmp_path / 'b.log').read_text().startswith('mmdas ')


@pytest.mark.slow
def test_a_signal_ends_the_step_and_its_process(tmp_path):
    """The step is a process that sleeps."""
    sleeper = tmp_path / 'sleeper'
    sleeper.write_text('#!/bin/sh\necho $$\nexec sleep 60\n')
    sleeper.chmod(0o700)
    code = f"""
import sys
from pathlib import Path
from rich.console import Console
from mmdas.commands import step_runs
from mmdas.commands.parser import CommandError
sys.executable = {str(sleeper)!r}
runs = step_runs.StepRuns(Path({str(tmp_path)!r}), step_runs.Report(Console()), {NOTES!r})
try:
    runs.run('a', 'a step', [])
except CommandError as error:
    print(error)
    sys.exit(error.code)
"""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen([sys.executable, '-c', code], env=environment, stdout=subprocess.PIPE, text=True)
    log = tmp_path / 'a.log'
    while not (log.is_file() and log.read_text().strip()):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 75
    assert 'stopped; the same command goes on from here' in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)
    assert json.loads((tmp_path / NOTES).read_text())['a']['done'] is False


def test_a_config_of_das_is_refused(capsys):
    name = str(ROOT / 'configs' / 'digit_scenes' / 'search-4f-gsf_fcn_r18-d4_digits-48x48.py')
    assert main(['improve', name]) == 2
    assert 'give the plain one that it came from' in capsys.readouterr().err


MULTI = """
_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']
val_evaluator = dict(_delete_=True, type='MultiLabelMetric')
test_evaluator = val_evaluator
"""


@pytest.mark.slow
def test_evaluators_that_cannot_compare_models_are_told_before_any_training(tmp_path, capsys, in_process):
    config = tmp_path / 'multi.py'
    config.write_text(MULTI)
    out = ['--out', str(tmp_path / 'out')]
    assert main(['improve', str(config), *out]) == 2
    assert 'MultiLabelMetric, which does not measure accuracy/top1' in capsys.readouterr().err
    assert main(['improve', CONFIG, *out, '--cfg-options', 'test_evaluator=None']) == 2
    assert 'no test_dataloader or no test_evaluator' in capsys.readouterr().err
    assert not in_process
    improve.check_tests(load_config(config), 'multi-label/f1-score')
    assert improve.main_metric('multi-label/f1-score', {'multi-label/f1-score': 3.0}) == 3.0
    with pytest.raises(CommandError, match='measure aAcc, and not mIoU.* --metric'):
        improve.main_metric('mIoU', {'aAcc': 1.0, 'time': 2.0})


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        (['--augment', 'randaugmet'], 'did you mean randaugment'),
        (['--regularize', 'dropblok'], 'did you mean dropblock'),
        (['--loss', 'l2'], 'losses of a distillation are'),
        (['--views', '3'], '--views is 3'),
        (['--frames', '1'], 'frames must be at least 2'),
        (['--fusion', 'tsn'], 'fusion must be one of'),
        (['--search-budget', 'soon'], '--budget soon'),
        (['--cfg-options', 'randomness.seed'], 'takes KEY=VALUE.* got randomness.seed'),
    ],
)
@pytest.mark.slow
def test_a_slip_in_a_later_step_is_told_before_the_first(tmp_path, capsys, in_process, options, told):
    assert main(['improve', CONFIG, '--out', str(tmp_path / 'out'), *options]) == 2
    assert re.search(told, ' '.join(capsys.readouterr().err.split()))
    assert not in_process


LENET = """
_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']
model = dict(
    backbone=dict(_delete_=True, type='LeNet5', num_classes=10),
    neck=None,
    head=dict(_delete_=True, type='ClsHead', loss=dict(type='CrossEntropyLoss')),
)
"""


def test_a_model_that_cannot_become_one_of_das_is_told_before_the_plain_training(tmp_path, capsys, in_process):
    config = tmp_path / 'lenet.py'
    config.write_text(LENET)
    assert main(['improve', str(config), '--out', str(tmp_path / 'out')]) == 2
    assert 'or leave DAS out by --skip das' in capsys.readouterr().err
    assert not in_process


@pytest.mark.slow
def test_settings_count_where_the_test_set_is_compared_with_the_validation_set():
    settings = improve.settings_of(['val_dataloader.dataset.ann_file=another.txt', 'randomness.seed=3'])
    assert settings['randomness.seed'] == 3
    assert improve.same_sets(load_config(CONFIG))
    assert not improve.same_sets(load_config(CONFIG, cfg_options=settings))
    assert improve.settings_of([]) == {}


def test_a_validation_set_is_tested_by_its_own_metrics():
    from mmdas.commands.test import use_validation

    cfg = load_config(CONFIG)
    cfg.val_evaluator = dict(type='IoUMetric', iou_metrics=['mDice'])
    cfg.val_dataloader.dataset.ann_file = 'another.txt'
    use_validation(cfg)
    assert cfg.test_dataloader.dataset.ann_file == 'another.txt'
    assert cfg.test_evaluator.iou_metrics == ['mDice']
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match='--split val: the config has no val_dataloader'):
        use_validation(cfg)
