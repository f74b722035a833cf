"""The command runs every race, loses none for the sake of another, and keeps what it measured."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as command
from benchmarks.harness import Report, Settings

ROOT = Path(__file__).parents[2]
MACHINE = dict(device='abacus', cores=1)
# What the races are for: id -> metrics that the results must have.
DEMANDED = {
    'A2': {'speedup_over_loop', 'saved_bytes_ratio'},
    'A3': {'speedup_over_kornia'},
    'B1': {'ratio_to_two_copies', 'speedup_over_mmaction2'},
    'B2': {'speedup_over_5d', 'speedup_over_5d_compiled'},
    'B3': {'overhead_tsm', 'overhead_gsf'},
    'C1': {'ratio_to_plain_step'},
    'C2': {'hours'},
    'D1': {'efficiency', 'memory_ratio'},
    'E1': {'ratio_to_plain_batch'},
    'F1': {'exponent_T', 'exponent_B', 'exponent_HW', 'exponent_operations', 'exponent_edges', 'scaling_2_processes'},
    'G1': {'search_step_over_plain'},
    'G2': {'search_over_today'},
    'G3': {'clip_step_t4', 'clip_step_t8'},
    'G4': {'cell_per_edge_380', 'operators_mib', 'first_step_s'},
    'G5': {'inference_over_batch'},
    'G6': {'tsm_channels_last'},
    'G7': {'gsf_r50_overhead'},
    'G8': {'gsf_over_none', 'warps_over_repeat', 'search_gpu_hours'},
    'L1': {'exported_to_pytorch', 'das_to_plain'},
    'M1': {'cheap_mix_over_plain', 'puzzle_mix_over_plain', 'seg_puzzle_mix_over_plain'},
    'K1': {'full_over_plain', 'low_over_plain', 'early_over_plain'},
    'S1': {'ddas_step_over_plain', 'memory_over_plain', 'cheap_step_over_plain'},
    'S2': {'ops_over_mmpretrain', 'ops_over_kornia'},
    'S3': {'ddas_search_over_das'},
    'S4': {'tta_search_over_training'},
    'T1': {'distil_step_over_plain', 'cached_step_over_plain'},
}
RACES = command.race_modules()


@pytest.mark.parametrize('identifier', DEMANDED)
def test_race_declares_the_metrics_that_are_demanded(identifier: str):
    assert DEMANDED[identifier] <= set(command.load_race(RACES[identifier]).METRICS)


@pytest.mark.parametrize('identifier', RACES)
def test_race_has_a_title_of_one_line_and_runs_with_settings(identifier: str):
    race = command.load_race(RACES[identifier])
    assert race.TITLE
    assert '\n' not in race.TITLE
    assert list(inspect.signature(race.run).parameters) == ['settings']


def test_no_race_is_without_a_demand():
    assert RACES.keys() == DEMANDED.keys()


def make_race(
    metrics: dict[str, float], declared: tuple[str, ...] | None = None, error: str | None = None
) -> ModuleType:
    race = ModuleType('made_race')

    def run(settings: Settings) -> Report:
        if error:
            raise RuntimeError(error)
        report = Report()
        report.table('made', ('quick',), [(settings.quick,)])
        for name, value in metrics.items():
            report.metric(name, value)
        return report

    race.TITLE, race.METRICS, race.run = 'a race', tuple(metrics) if declared is None else declared, run
    return race


@pytest.fixture
def run_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run made races; returns the exit code and the content of the JSON."""

    def run(before: dict | None = None, **races: ModuleType) -> tuple[int, dict]:
        path = tmp_path / 'new' / 'results.json'
        if before is not None:
            command.update_json(path, before)
        monkeypatch.setattr(command, 'load_race', races.__getitem__)
        code = command.run_races({name: name for name in races}, Settings(quick=True), MACHINE, path)
        return code, json.loads(path.read_text()) if path.is_file() else {}

    return run


def test_results_are_metrics_by_race_and_the_machine(run_made, capsys: pytest.CaptureFixture):
    code, results = run_made(X1=make_race({'speed': 2.0}), X2=make_race({'ratio': 1.5, 'hours': 3.0}))
    assert (code, results) == (0, {'machine': MACHINE, 'X1': {'speed': 2.0}, 'X2': {'ratio': 1.5, 'hours': 3.0}})
    printed = capsys.readouterr().out
    assert '## X1: a race' in printed
    assert '| quick |\n| --- |\n| True |' in printed
    assert printed.count('load before') == printed.count('load after') == 2


def test_a_race_that_fails_loses_no_other(run_made, capsys: pytest.CaptureFixture):
    code, results = run_made(X1=make_race({'a': 1.0}), X2=make_race({}, error='no luck'), X3=make_race({'b': 2.0}))
    assert code == 1
    assert results.keys() == {'machine', 'X1', 'X3'}
    captured = capsys.readouterr()
    assert 'RuntimeError: no luck' in captured.err
    assert captured.out.endswith('failed: X2\n')


def test_json_is_updated_and_not_replaced(run_made):
    before = {'machine': {'device': 'old'}, 'X1': {'speed': 1.0, 'gone': 1.0}, 'X9': {'ratio': 9.0}}
    _, results = run_made(before, X1=make_race({'speed': 2.0}))
    assert results == {'machine': MACHINE, 'X1': {'speed': 2.0}, 'X9': {'ratio': 9.0}}


def test_a_failed_race_keeps_its_earlier_result(run_made):
    assert run_made({'X1': {'speed': 1.0}}, X1=make_race({}, error='no luck')) == (1, {'X1': {'speed': 1.0}})


def test_an_undeclared_metric_is_an_error(run_made, capsys: pytest.CaptureFixture):
    code, _ = run_made(X1=make_race({'speed': 1.0}, declared=('speeed',)))
    assert code == 1
    captured = capsys.readouterr()
    assert "X1 gives ['speed'], which METRICS of made_race does not list" in captured.err
    assert 'X1.speeed was not measured' in captured.out


def test_a_metric_that_was_not_measured_is_told(run_made, capsys: pytest.CaptureFixture):
    code, results = run_made(X1=make_race({'speed': 1.0}, declared=('speed', 'ratio')))
    assert (code, results['X1']) == (0, {'speed': 1.0})
    assert 'X1.ratio was not measured' in capsys.readouterr().out


def test_race_without_a_part_of_the_contract_is_an_error(monkeypatch: pytest.MonkeyPatch):
    race = make_race({})
    del race.METRICS
    monkeypatch.setitem(sys.modules, 'made_race', race)
    with pytest.raises(AttributeError, match='made_race has no METRICS'):
        command.load_race('made_race')


def test_ids_of_the_command_line_are_those_of_the_races():
    assert command.parse_arguments(['--only', 'b1', 'F1', '--quick']).only == ['B1', 'F1']
    with pytest.raises(SystemExit):
        command.parse_arguments(['--only', 'Z9'])


def test_only_what_is_not_set_is_added_to_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ('OMP_NUM_THREADS', *command.ALLOCATOR):
        monkeypatch.setenv(name, '7')
    assert command.wanted_environment(threads=2) == {}
    monkeypatch.delenv('OMP_NUM_THREADS')
    assert command.wanted_environment(threads=2) == {'OMP_NUM_THREADS': '2'}


@pytest.mark.skipif(sys.platform != 'linux', reason='the allocator is set on Linux alone')
def test_process_starts_itself_again_once_with_the_environment():
    bare = {name: value for name, value in os.environ.items() if name not in ('OMP_NUM_THREADS', *command.ALLOCATOR)}
    source = (
        'import os; from benchmarks.__main__ import restart; restart(threads=3)\n'
        'print(os.environ["OMP_NUM_THREADS"], os.environ["MALLOC_MMAP_MAX_"])'
    )
    run = subprocess.run(
        [sys.executable, '-c', source], cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == '3 0\n'
