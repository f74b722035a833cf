"""Places of results are checked before the work, and told in one line."""

import json
import os
from pathlib import Path

import pytest

from mmdas.commands.main import main
from mmdas.commands.parser import CommandError
from mmdas.commands.places import PICTURES, check_file, check_folder


def test_new_folders_and_old_files_are_taken_and_nothing_is_made(tmp_path: Path):
    (tmp_path / 'old.png').write_bytes(b'old')
    for path in ('a/b/new.PNG', 'old.png'):
        check_file(tmp_path / path, PICTURES)
    check_folder(tmp_path / 'a' / 'b')
    assert [path.name for path in tmp_path.iterdir()] == ['old.png']


@pytest.mark.parametrize(
    ('path', 'text'),
    [
        ('', 'a folder; name a file, such as'),
        ('x.txt', 'must end with .png or .jpg'),
        ('file/x.png', 'is a file, no folder'),
        ('file/deeper/x.png', 'is a file, no folder'),
    ],
)
def test_other_places_are_named_with_a_remedy(path: str, text: str, tmp_path: Path):
    (tmp_path / 'file').touch()
    with pytest.raises(CommandError, match=text) as told:
        check_file(tmp_path / path, PICTURES)
    assert f'--out is {tmp_path / path}' in str(told.value)


@pytest.mark.skipif(not Path('/proc/self').is_dir(), reason='a folder in which nobody can write')
def test_folder_without_leave_to_write_is_named():
    with pytest.raises(CommandError, match='--out-dir is /proc/x, but nothing can be written in /proc'):
        check_folder('/proc/x')


def log_of(folder: Path, *records: dict) -> str:
    path = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records), encoding='utf-8')
    return str(folder)


@pytest.mark.parametrize('command', [['analyze', 'logs'], ['report']])
def test_run_without_an_entry_is_told_in_one_line(command: list, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main([*command, log_of(tmp_path / 'run')]) == 2
    assert 'holds no entry: the run ended before its first' in capsys.readouterr().err


def test_report_names_the_file_that_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = log_of(tmp_path / 'run', {'loss': 1.0, 'iter': 1, 'step': 1})
    Path(folder, 'policy.json').write_text('{broken', encoding='utf-8')
    assert main(['report', folder]) == 2
    assert f'{os.path.join(folder, "policy.json")} cannot be read' in capsys.readouterr().err


def test_curves_refuse_a_folder_named_twice_and_pass_over_what_is_not_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    values = (float('nan'), 2.0, 3.0)
    folder = log_of(tmp_path / 'run', *({'loss': value, 'iter': i, 'step': i} for i, value in enumerate(values, 1)))
    assert main(['analyze', 'logs', folder, f'{folder}/']) == 2
    assert 'named twice' in capsys.readouterr().err
    assert main(['analyze', 'logs', folder]) == 0
    assert 'lowest 2 at 2, highest 3 at 3' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['check', 'policy.json'], 'is no config of a model or of data, it holds num_frames'),
        (['print-config', 'policy.json'], 'policy.json has no model'),
        (['print-config', 'model.pth'], 'CONFIG comes first, then CHECKPOINT'),
        (['print-config', 'mmseg::_base_/datasets/ade20k.py'], 'has no model; name a whole config'),
        (['browse', '--policy', 'policy.json', '--images', '.', '--frames', '3'], '--frames changes a config'),
    ],
)
def test_files_of_another_kind_are_told(
    words: list, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    Path('policy.json').write_text(
        json.dumps(
            {
                'schema_version': 2,
                'num_frames': 2,
                'num_nodes': 1,
                'edges': [{'source': 0, 'target': 2, 'operation': 'rotate', 'strength': 1.0}],
                'ramp': 'signed',
                'padding': 'zeros',
                'node_reduction': 'mean',
                'operations': ['rotate'],
                'seed': 0,
                'reference_size': None,
                'origin': {},
            }
        )
        if words[0] == 'browse'
        else json.dumps({'num_frames': 2})
    )
    Path('model.pth').write_bytes(b'')
    assert main(words) == 2
    assert text in capsys.readouterr().err
