import json
import re
import subprocess
import sys
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from mmdas.commands import demo, demo_cost
from mmdas.commands.parser import CommandError
from mmdas.commands.step_process import fast_context
from mmdas.search.das import Policy

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/demo.py'
NEW = get_context('spawn')  # without the imports that all steps share
PICTURES = ('clip.png', 'policy.png', 'predictions.png')


@pytest.fixture(scope='module')
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a quick demo."""
    out = tmp_path_factory.mktemp('demo') / 'out'
    command = [sys.executable, str(SCRIPT), '--quick', '--out', str(out)]
    finished = subprocess.run(command, cwd=out.parent, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return out, finished.stdout


def write_script(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Make ``tools/step.py`` of a made-up repository."""
    (folder / 'tools').mkdir()
    (folder / 'tools/step.py').write_text(text)
    monkeypatch.setattr(demo, 'ROOT', folder)


@pytest.mark.slow
def test_demo_compares_the_plain_model_a_repeated_image_and_das(quick_run):
    out, printed = quick_run
    results = json.loads((out / 'results.json').read_text())
    plain, repeat, das = results['models']
    assert (plain['frames'], repeat['frames'], das['frames']) == (1, 4, 4)
    assert das['parameters'] == repeat['parameters'] > plain['parameters'] > 0
    for cost in ('seconds_per_iteration', 'seconds_per_image'):
        assert repeat[cost] > 1.5 * plain[cost], 'four frames are more work than one'
        assert das[cost] > 1.5 * plain[cost]
    for row in results['models']:
        assert 0 <= row['mIoU'] <= 100
        assert re.search(rf'{row["model"]} .*{row["mIoU"]:.2f} .*{row["parameters"]:,} ', printed)


@pytest.mark.slow
def test_demo_leaves_the_searched_policy_and_pictures(quick_run):
    out, printed = quick_run
    policy = Policy.load(out / json.loads((out / 'results.json').read_text())['policy'])
    assert policy.origin['method'] == 'search'
    for name in PICTURES:
        assert str(out / name) in printed
        with Image.open(out / name) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert('RGB').getcolors(2**24)) > 10


@pytest.mark.slow
def test_demo_trains_the_das_model_with_the_policy_that_it_searched(quick_run):
    out, _ = quick_run
    assert re.search(r"policy=\s*'work_dirs/search-", (out / 'train_DAS.log').read_text())


@pytest.mark.slow
def test_table_s_miou_is_that_of_the_test_s_log(quick_run):
    out, _ = quick_run
    for row in json.loads((out / 'results.json').read_text())['models']:
        log = (out / f'test_{row["model"]}.log').read_text()
        assert f'mIoU: {row["mIoU"]:.2f}' in log.splitlines()


def test_every_config_of_the_demo_exists():
    assert all(Path(demo.config_path(name)).is_file() for name in (demo.SEARCH, *demo.MODEL_CONFIGS.values()))


def test_cost_is_the_fastest_of_the_rounds_in_the_share_of_a_step(monkeypatch):
    now, order = [0.0], []
    durations = {'a': iter([9.0, 2.0, 5.0]), 'b': iter([1.0, 4.0, 3.0])}
    monkeypatch.setattr(demo_cost, 'seconds', lambda: now[0])

    def step(model: str, share: float) -> float:
        order.append(model)
        now[0] += next(durations[model])
        return share

    steps = {'a': {'image': lambda: step('a', 0.5)}, 'b': {'image': lambda: step('b', 1.0)}}
    assert demo_cost.fastest(steps, rounds=3) == {'a': {'image': 1.0}, 'b': {'image': 1.0}}
    assert order == ['a', 'b'] * 3, 'in turn, so that a busy machine meets all alike'


def test_run_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(CommandError, match=f'the run of {demo.HOST} left no checkpoint in {tmp_path}'):
        demo.checkpoint(tmp_path, demo.HOST)


def test_failing_step_ends_the_demo_with_the_end_of_its_log_and_the_log_s_path(tmp_path, monkeypatch):
    write_script(monkeypatch, tmp_path, "print('first')\nfor i in range(30): print(i)\nraise OSError('no disk')")
    step = demo.Step('fill the disk', 'fill', ['step.py'])
    with pytest.raises(SystemExit) as caught:
        demo.run_step(step, tmp_path, demo.Report(Console()), NEW)
    message = str(caught.value)
    assert 'OSError: no disk' in message
    assert '"fill the disk" failed (exit status 1)' in message
    assert str(tmp_path / 'fill.log') in message
    assert 'first' not in message and 'first' in (tmp_path / 'fill.log').read_text()


def test_without_a_terminal_a_step_tells_its_quarters(tmp_path, monkeypatch, capsys):
    lines = [f'INFO - Iter(train) [{done:2}/40]  eta: 0:00:{40 - done:02}  time: 1' for done in range(1, 41)]
    write_script(monkeypatch, tmp_path, f'print({chr(10).join(lines)!r})')
    demo.run_step(demo.Step('train', 'train', ['step.py']), tmp_path, demo.Report(Console()), NEW)
    printed = capsys.readouterr().out.splitlines()
    assert printed[:-1] == ['train ...', *(f'    {done}/40, 0:00:{40 - done:02} left' for done in (10, 20, 30, 40))]


def test_on_a_terminal_a_step_is_one_line_with_its_progress(tmp_path, monkeypatch, capsys):
    write_script(monkeypatch, tmp_path, "print('Iter(train) [ 1/4]  eta: 0:00:03')\nraise SystemExit(1)")
    report = demo.Report(Console(force_terminal=True, width=100))
    with report.progress, pytest.raises(SystemExit):
        demo.run_step(demo.Step('train', 'train', ['step.py']), tmp_path, report, NEW)
    lines = capsys.readouterr().out.split('\n')
    assert any('train' in line and '1/4, 0:00:03 left' in line for line in lines)


@pytest.mark.skipif('forkserver' not in get_all_start_methods(), reason='this system cannot fork')
@pytest.mark.slow
def test_steps_begin_with_the_imports_done_and_share_nothing_else(tmp_path, monkeypatch):
    text = """
import os, sys
assert 'mmseg.datasets' in sys.modules and 'mmdas.apis' in sys.modules
assert 'left' not in os.environ and __name__ == '__main__'
os.environ['left'] = 'here'
print(os.getcwd(), *sys.argv[1:])
"""
    write_script(monkeypatch, tmp_path, text)
    context = fast_context()
    for name in ('first', 'second'):
        demo.run_step(demo.Step(name, name, ['step.py', name]), tmp_path, demo.Report(Console()), context)
        assert (tmp_path / f'{name}.log').read_text() == f'{tmp_path} {name}\n'


def test_environment_of_the_user_comes_first(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    monkeypatch.delenv('MALLOC_MMAP_MAX_', raising=False)
    environment = demo.environment()
    assert (environment['OMP_NUM_THREADS'], environment['MALLOC_MMAP_MAX_']) == ('7', '0')
