"""``mmdas compare``: the halving on made-up scores and times, and one tiny real comparison."""

import json
import random
import shlex
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from step_processes import Ended
from tool_scripts import load_script

from mmdas.commands import main, step, step_runs
from mmdas.commands.compare import BASE, NOTES
from mmdas.commands.compare_methods import read_method, read_methods
from mmdas.commands.step_runs import StepRuns
from mmdas.registry import DATASETS

CONFIG = str(Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')
PLAIN: list[str] = []  # its path
METHODS = 'plain,randaugment,trivialaugment,uniform,autoaugment,ddas'
START = 5.0  # seconds of each command
ITERATION, VALIDATION = 1.0, 2.0


class World:
    """Made-up processes: each takes seconds of a made-up clock and writes what a real one would.

    Args:
        quality: method -> score of a long training.
        noise: of the scores.
        dies_at: number of the command that the whole comparison is killed in.
        fails: starts of the names of steps that fail.
    """

    def __init__(self, monkeypatch, quality, noise=0.0, dies_at=None, fails=()):
        self.quality, self.noise, self.dies_at, self.fails = quality, noise, dies_at, fails
        self.now, self.commands, self.longest, self.slower = 0.0, [], 0.0, 1.0
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=lambda _: None)
        monkeypatch.setattr(step_runs, 'time', clock)
        monkeypatch.setattr(step, 'time', clock)
        monkeypatch.setattr(StepRuns, '_process', lambda _, command, log: self.run(list(command), log))

    def run(self, command, log):
        before = self.now
        if len(self.commands) == self.dies_at:
            self.now += 1.0
            raise Killed
        self.commands.append(command)
        if name_of(command).startswith(tuple(self.fails)):
            log.write_text('Traceback (most recent call last):\n  x\nRuntimeError: out of <memory>\n\n')
            self.now += START
            return Ended(1)
        folder = Path(command[command.index('--work-dir') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        getattr(self, f'{command[0]}_')(command, folder)
        self.longest = max(self.longest, self.now - before)
        return Ended(0)

    def cost_(self, command, folder):
        content = {'unit': ITERATION, 'validation': VALIDATION, 'measuring': 8 * ITERATION}
        Path(command[command.index('--out') + 1]).write_text(json.dumps(content))
        self.now += START + 8 * ITERATION

    def search_(self, command, folder):
        (folder / 'policy.json').write_text('{}')
        seconds = command[command.index('--budget') + 1].rstrip('s') if '--budget' in command else 9
        self.now += START + float(seconds)

    def train_(self, command, folder):
        cfg = Config.fromfile(command[1])
        length = cfg.train_cfg.max_iters
        shutil.copy(command[1], folder / 'config.py')
        weights = {'meta': {'iter': length, 'epoch': 0}, 'state_dict': {'x': torch.ones(1)}}
        torch.save(weights, folder / 'iter.pth')
        (folder / 'last_checkpoint').write_text('iter.pth')
        logs = folder / '20260101_000000' / 'vis_data'
        logs.mkdir(parents=True)
        draw = random.Random(zlib.crc32(folder.name.encode()))
        score = self.quality[method_of(folder)] * length / 300 + draw.gauss(0, self.noise)
        (logs / 'scalars.json').write_text(json.dumps({'mIoU': score, 'step': length}) + '\n')
        self.now += self.slower * (START + length * ITERATION + VALIDATION)

    def test_(self, command, folder):
        log = folder / '20260101_000000'
        log.mkdir()
        (log / f'{log.name}.json').write_text(json.dumps({'mIoU': 50.0}))
        self.now += START


class Killed(BaseException):
    """What no handler of the command sees."""


def method_of(folder):
    return folder.name.partition('_rung')[0].removeprefix('val_').removeprefix('test_')


@pytest.fixture(scope='module', autouse=True)
def plain(tmp_path_factory):
    """The config in one file, which is read fast."""
    path = tmp_path_factory.mktemp('config') / 'plain.py'
    Config.fromfile(CONFIG).dump(path)
    PLAIN.append(str(path))
    yield
    PLAIN.clear()


def compare(out, *options, methods=METHODS):
    """The exit code, and what the notes say."""
    code = main(['compare', PLAIN[0], '--methods', methods, '--out', str(out), *options])
    return code, json.loads((out / NOTES).read_text())


def qualities(best=None, **others):
    found = dict.fromkeys(METHODS.split(','), 40.0) | others
    return found if best is None else {**found, best: 60.0}


@pytest.mark.parametrize('best', ['plain', 'trivialaugment', 'ddas'])
def test_a_method_that_is_better_by_far_wins_and_plain_is_in_the_final(tmp_path, monkeypatch, best):
    world = World(monkeypatch, qualities(best, **({} if best == 'plain' else {'plain': 10.0})), noise=0.5)
    code, notes = compare(tmp_path)
    assert code == 0
    found = notes['comparison']
    assert found['winner'] == best
    assert found['complete']
    assert not any(one['level'] for one in found['standings'] if one['name'] != best)
    assert 'plain' in [one['name'] for one in found['standings']]
    assert [len(rung['scores']) for rung in found['rungs']] == [6, 3]
    assert set(found['tests']) == {best, 'plain'}
    tested = [command for command in world.commands if command[0] == 'test']
    assert {method_of(Path(command[command.index('--work-dir') + 1])) for command in tested} == {best, 'plain'}
    assert len(tested) == 2 * len({best, 'plain'})


@pytest.mark.parametrize(('budget', 'slower'), [(100, 1), (180, 1), (700, 1), (6000, 1), (700, 4), (2000, 6)])
def test_the_budget_is_exceeded_by_no_more_than_a_step_and_the_tests(tmp_path, monkeypatch, budget, slower):
    """Trainings may take longer than the measured steps; no rung is shorter than the one before."""
    world = World(monkeypatch, qualities(), noise=1.0)
    world.slower = slower
    code, notes = compare(tmp_path, '--budget', f'{budget}s')
    tests = sum(command[0] == 'test' for command in world.commands) * START
    assert world.now - tests <= budget + max(world.longest, 6 * (START + 8))
    if code == 0:
        found = notes['comparison']
        assert found['spent'] == pytest.approx(world.now)
        assert sum(found['seconds'].values()) == pytest.approx(world.now)
        lengths = [rung['length'] for rung in found['rungs']]
        assert lengths == sorted(lengths)
        assert len(set(lengths)) >= len(lengths) - 1, 'further seeds alone have the length of the rung before'
        if found['complete'] and found['rungs'][-1]['length'] < 300:
            assert world.now > 0.7 * budget  # and it is used


@pytest.mark.parametrize('methods', [METHODS, 'uniform'])
def test_a_budget_of_iterations_is_kept_whatever_a_step_takes(tmp_path, monkeypatch, methods):
    """The plan of a busy machine is that of an idle one, and it uses what it may."""
    lengths = []
    for slower in (1, 50):
        world = World(monkeypatch, qualities('trivialaugment'), noise=1.0)
        world.slower = slower
        code, notes = compare(tmp_path / str(slower), '--budget', '600iters', methods=methods)
        assert code == 0 and notes['comparison']['complete']
        assert not any(command[0] == 'cost' for command in world.commands)
        taken = [(command[0], length_of(command)) for command in world.commands if command[0] in ('train', 'search')]
        lengths.append(taken)
        total = sum(length * (3 if word == 'search' else 1) for word, length in taken)
        assert 0.9 * 600 < total <= 600 + 2
        assert notes['comparison']['trained'] <= 600
    assert lengths[0] == lengths[1]


def length_of(command):
    """Iterations of a training or a search."""
    if command[0] == 'search':
        return int(command[-1].removeprefix('train_cfg.max_iters='))
    return Config.fromfile(command[1]).train_cfg.max_iters


@pytest.mark.parametrize('text', ['30epochs', '0iters', '3 weeks', '2.5iters'])
def test_a_budget_that_is_none_is_told(tmp_path, monkeypatch, capsys, text):
    World(monkeypatch, qualities())
    assert main(['compare', PLAIN[0], '--out', str(tmp_path), '--budget', text]) == 2
    assert f'--budget {text}' in capsys.readouterr().err


def test_a_budget_of_fewer_iterations_than_trainings_is_told_before_any(tmp_path, monkeypatch, capsys):
    """The plan never exceeds a length, and a larger budget goes on in the same folder."""
    world = World(monkeypatch, qualities())
    options = ['compare', PLAIN[0], '--methods', 'uniform', '--out', str(tmp_path), '--budget']
    assert main([*options, '3iters']) == 2 and not world.commands
    assert '--budget 3iters is too small' in (told := capsys.readouterr().err) and 'give 4iters or more' in told
    assert main([*options, '4iter']) == 0
    assert sum(length_of(command) for command in world.commands if command[0] == 'train') == 4


def test_a_budget_for_nothing_is_told(tmp_path, monkeypatch, capsys):
    World(monkeypatch, qualities())
    assert compare(tmp_path, '--budget', '1s')[0] == 2
    assert 'the budget has ended before the first training has' in capsys.readouterr().err


def test_without_a_budget_it_takes_a_third_of_all_at_full_length(tmp_path, monkeypatch):
    world = World(monkeypatch, qualities(), noise=1.0)
    _, notes = compare(tmp_path, '--seeds', '3', methods='randaugment,uniform')
    whole = 3 * 3 * (300 * ITERATION + VALIDATION + START)
    assert notes['comparison']['budget'] == pytest.approx(whole / 3, rel=1e-3)
    assert world.now <= whole / 3


def test_all_methods_of_a_rung_have_one_config_and_one_seed_and_the_searched_policy(tmp_path, monkeypatch):
    world = World(monkeypatch, qualities('ddas'))
    compare(tmp_path, '--seed', '7')
    (search,) = (command for command in world.commands if command[0] == 'search')
    trainings = [command for command in world.commands if command[0] == 'train']
    assert world.commands.index(search) < world.commands.index(trainings[0])
    assert search[search.index('--method') + 1] == 'ddas'
    first = [command for command in trainings if command[1].endswith('rung1.py')]
    assert {command[-1] for command in first} == {'randomness.seed=7'}
    assert len(first) == 6
    augments = {command[command.index('--augment') + 1] for command in first if '--augment' in command}
    assert str(tmp_path / 'search_ddas' / 'policy.json') in augments
    final = [command for command in trainings if command[1].endswith('rung2.py')]
    assert [command[-1] for command in final] == ['randomness.seed=8'] * 3
    lengths = [Config.fromfile(tmp_path / f'rung{place}.py').train_cfg.max_iters for place in (1, 2)]
    assert lengths[1] == lengths[0], 'further seeds of the same trainings'


@pytest.mark.slow
def test_what_was_killed_goes_on_and_does_nothing_twice(tmp_path, monkeypatch):
    whole = World(monkeypatch, qualities(), noise=1.0)
    _, expected = compare(tmp_path / 'whole', '--budget', '1200s')
    ran = [name_of(command) for command in whole.commands]
    assert len(set(ran)) == len(ran)
    for dies_at in (1, 10, len(ran) - 2):
        out = tmp_path / str(dies_at)
        first = World(monkeypatch, qualities(), noise=1.0, dies_at=dies_at)
        with pytest.raises(Killed):
            compare(out, '--budget', '1200s')
        second = World(monkeypatch, qualities(), noise=1.0)
        _, notes = compare(out, '--budget', '1200s')
        both = [name_of(command) for command in first.commands + second.commands]
        assert len(set(both)) == len(both)
        assert notes['comparison']['winner'] == expected['comparison']['winner']
        if dies_at > 7:  # before, the second of the kill shortens the first rung
            assert both == ran
            assert notes['comparison']['rungs'][0] == expected['comparison']['rungs'][0]
    third = World(monkeypatch, qualities())
    _, again = compare(out, '--budget', '1200s')
    assert third.commands == []
    assert again['comparison'] == notes['comparison']


@pytest.mark.parametrize('step', ['cost_uniform', 'uniform_rung1', 'uniform_rung2_seed1', 'search_ddas', 'cost_ddas'])
def test_a_method_leaves_with_a_step_that_fails_and_the_others_go_on(tmp_path, monkeypatch, capsys, step):
    loser = 'ddas' if 'ddas' in step else 'uniform'
    fails = [step]
    first = World(monkeypatch, qualities('autoaugment', **{loser: 50.0}), fails=fails, dies_at=30)
    with suppress(Killed):
        compare(tmp_path)
    second = World(monkeypatch, qualities('autoaugment', **{loser: 50.0}), fails=fails)
    code, notes = compare(tmp_path)
    found, output = notes['comparison'], capsys.readouterr().out
    assert code == 0 and found['winner'] == 'autoaugment' and found['complete']
    assert loser not in [one['name'] for one in found['standings']] and loser not in found['rungs'][-1]['scores']
    (reason,) = found['failed'].values()
    assert reason.startswith(f'{loser} failed: RuntimeError: out of <memory> (see ') and reason in output
    assert 'out of &lt;memory&gt;' in (tmp_path / 'report.html').read_text()
    names = [name_of(command) for command in first.commands + second.commands]
    assert len(set(names)) == len(names), 'a step that failed is not tried again'
    assert len(found['rungs'][-1]['scores']) == (2 if 'rung2' in step else 3)


@pytest.mark.parametrize('step', ['cost_uniform', 'uniform_rung1'])
def test_what_failed_is_tried_again_on_demand(tmp_path, monkeypatch, capsys, step):
    World(monkeypatch, qualities(uniform=90.0), fails=[step])
    assert compare(tmp_path)[1]['comparison']['winner'] != 'uniform'
    assert f'uniform failed: RuntimeError: out of <memory> (see {tmp_path}' in capsys.readouterr().out
    again = World(monkeypatch, qualities(uniform=90.0))
    _, notes = compare(tmp_path, '--retry-failed')
    found = notes['comparison']
    assert found['winner'] == 'uniform' and not found['failed'] and found['complete']
    assert any(name_of(command).startswith(step) for command in again.commands)


def test_a_search_that_the_plan_did_not_count_is_tried_again(tmp_path, monkeypatch):
    World(monkeypatch, qualities(), fails=['cost_ddas'])
    before = compare(tmp_path, methods='ddas,uniform')[1]['comparison']
    again = World(monkeypatch, qualities('ddas'))
    found = compare(tmp_path, '--retry-failed', methods='ddas,uniform')[1]['comparison']
    assert found['winner'] == 'ddas' and found['complete'] and found['spent'] > before['spent']
    assert [command[0] for command in again.commands[:3]] == ['cost', 'search', 'train']


def test_a_retry_after_the_end_of_the_budget_trains_what_the_plan_holds(tmp_path, monkeypatch):
    budget = ['--budget', '200s']
    World(monkeypatch, qualities(), fails=['cost_uniform'])
    before = compare(tmp_path, *budget, methods='randaugment,uniform')[1]['comparison']
    World(monkeypatch, qualities(uniform=90.0))
    found = compare(tmp_path, *budget, '--retry-failed', methods='randaugment,uniform')[1]['comparison']
    assert found['complete'] and found['winner'] == 'uniform' and found['spent'] > 200
    assert [rung['length'] for rung in found['rungs']] == [rung['length'] for rung in before['rungs']]


def test_a_step_of_plain_that_fails_ends_all(tmp_path, monkeypatch, capsys):
    World(monkeypatch, qualities(), fails=['plain_rung1'])
    assert compare(tmp_path, methods='uniform')[0] == 1
    assert 'RuntimeError: out of <memory>' in capsys.readouterr().err
    World(monkeypatch, qualities())
    assert compare(tmp_path, methods='uniform')[0] == 0, 'it is tried again'


def test_when_plain_alone_is_left_that_is_told(tmp_path, monkeypatch, capsys):
    World(monkeypatch, qualities(), fails=['cost_uniform'])
    assert compare(tmp_path, methods='uniform')[0] == 2
    assert 'nothing left to compare plain with: uniform failed: RuntimeError' in capsys.readouterr().err


def name_of(command):
    return Path(command[command.index('--work-dir') + 1]).name


def test_a_training_that_was_killed_before_its_validation_is_validated(tmp_path, monkeypatch):
    world = World(monkeypatch, qualities())
    train = World.train_

    def without_validation(self, command, folder):
        train(self, command, folder)
        (folder / '20260101_000000' / 'vis_data' / 'scalars.json').write_text('{"loss": 1.0, "iter": 1, "step": 1}\n')

    monkeypatch.setattr(World, 'train_', without_validation)
    _, notes = compare(tmp_path, '--seeds', '1', methods='uniform')
    assert notes['comparison']['rungs'][-1]['scores'] == {'plain': {'0': 50.0}, 'uniform': {'0': 50.0}}
    assert sum('val' in command for command in world.commands) == 2


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        (['--seeds', '3'], 'seeds 2'),
        (['--budget', '3h'], 'budget None'),
        (['--holdout', '0.3'], 'holdout 0.2'),
        (['--cfg-options', 'train_dataloader.batch_size=3'], 'cfg-options'),
    ],
)
def test_a_changed_option_is_refused(tmp_path, monkeypatch, capsys, options, name):
    World(monkeypatch, qualities())
    compare(tmp_path, methods='uniform')
    world = World(monkeypatch, qualities())
    assert compare(tmp_path, *options, methods='uniform')[0] == 2
    assert f'has a comparison with --{name}' in capsys.readouterr().err
    assert world.commands == []
    for text, told in (
        ('max_iters', 'takes KEY=VALUE'),
        ('train_cfg=dict(a=[1],b=2)', 'train_cfg=dict(a=[1],b=2)'),
    ):
        assert compare(tmp_path, '--cfg-options', text, methods='uniform')[0] == 2
        assert f'--cfg-options {told}' in capsys.readouterr().err
    (tmp_path / BASE).write_text('another = 1\n')
    assert compare(tmp_path, methods='uniform')[0] == 2
    assert 'of a comparison with another config' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('methods', 'message'),
    [
        ('plain', 'names nothing to compare plain with'),
        ('uniform,uniform', 'names uniform twice'),
        ('ddas+das', 'one search a method'),
        ('plain+uniform', 'no parts of a method'),
        ('unifrom', 'did you mean uniform'),
    ],
)
def test_a_wrong_method_is_told_before_anything_runs(tmp_path, monkeypatch, capsys, methods, message):
    world = World(monkeypatch, qualities())
    assert main(['compare', PLAIN[0], '--methods', methods, '--out', str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert world.commands == []


def test_words_become_options():
    assert read_method('plain').options('p') == []
    assert read_method('das+randaugment').options('p') == ['--das', 'p', '--augment', 'randaugment']
    assert read_method('faster-aa').options('p') == ['--augment', 'p']
    assert read_method('faster-aa').options_of_stand_in() == ['--augment', 'uniform']
    assert [method.name for method in read_methods('uniform,plain')] == ['plain', 'uniform']


@pytest.mark.slow
def test_a_real_comparison(tmp_path, monkeypatch):
    """In this process: the splits are disjoint and the same for all, and the scores those of the logs."""
    root = tmp_path / 'scenes'
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(root, num_train=20, num_val=2)

    def run(self, command, log):
        return Ended(main(command))

    monkeypatch.setattr(StepRuns, '_process', run)
    parts = [f'{part}_dataloader.dataset.data_root={root}' for part in ('train', 'val', 'test')]
    settings = ['train_cfg.max_iters=4', 'train_dataloader.batch_size=2', 'default_hooks.logger.interval=1', *parts]
    options = ['--budget', '1h', '--seeds', '1', '--finalists', '1', '--cfg-options', *settings]
    code, notes = compare(tmp_path / 'out', *options, methods='uniform')
    assert code == 0
    found = notes['comparison']
    assert [rung['length'] for rung in found['rungs']] == [4]
    splits = set()
    for name, folders in found['runs'].items():
        folder = tmp_path / 'out' / folders['0']
        lines = next(folder.glob('*/vis_data/scalars.json')).read_text().splitlines()
        assert found['rungs'][0]['scores'][name]['0'] == json.loads(lines[-1])['mIoU']
        cfg = Config.fromfile(folder / 'rung1.py')
        loaders = cfg.train_dataloader, cfg.val_dataloader
        splits.add(tuple(frozenset(images(loader.dataset)) for loader in loaders))
    ((train, held_out),) = splits
    assert len(train) == 16
    assert len(held_out) == 4
    assert not train & held_out
    assert (tmp_path / 'out' / 'report.html').is_file()


def images(dataset):
    with DefaultScope.overwrite_default_scope('mmseg'):
        built = DATASETS.build(dataset)
    return [built.get_data_info(index)['img_path'] for index in range(len(built))]


def test_the_command_at_the_end_has_the_settings_of_the_comparison(tmp_path, monkeypatch, capsys):
    settings = ['train_dataloader.batch_size=3', "train_dataloader.dataset.data_prefix={'img_path': 'a b'}"]
    World(monkeypatch, qualities())
    assert compare(tmp_path, '--cfg-options', *settings, methods='uniform')[0] == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith('Train with it: '))
    words = shlex.split(line.removeprefix('Train with it: '))
    assert words[:3] == ['mmdas', 'train', PLAIN[0]] and words[-3:] == ['--cfg-options', *settings]
