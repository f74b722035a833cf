"""What is no config, or a wrong one, ends the conversion with one line, and nothing is written."""

from pathlib import Path

import pytest
from tool_scripts import load_script

from mmdas.apis import ConversionError, add_das
from mmdas.commands import run_command

INPUTS = load_script('misc/fault_trial/malformed_inputs.py')
HOST, CONFIGS, ARGUMENTS, ENDLESS = INPUTS.HOST, INPUTS.CONFIGS, INPUTS.ARGUMENTS, INPUTS.ENDLESS
files = INPUTS.files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sound and broken files, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    INPUTS.write_files(tmp_path)
    return tmp_path


def check_line(folder: Path, arguments: list[str], part: str, capsys: pytest.CaptureFixture) -> None:
    before = files(folder)
    try:
        code = run_command('convert', arguments, 'mmdas convert')
    except SystemExit as end:
        code = end.code
    (line,) = capsys.readouterr().err.splitlines()
    assert (code, files(folder)) == (2, before)
    assert part in line
    assert len(line) < 1500


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=pytest.mark.slow) if name in ENDLESS else name for name in CONFIGS]
)
def test_malformed_config_is_one_line_and_nothing_is_written(name: str, folder: Path, capsys: pytest.CaptureFixture):
    content, part = CONFIGS[name]
    (folder / 'mine.py').write_bytes(content if isinstance(content, bytes) else content.encode())
    check_line(folder, ['mine.py', '--out-dir', 'out'], part, capsys)


@pytest.mark.parametrize('name', ARGUMENTS)
def test_malformed_argument_is_one_line_and_nothing_is_written(name: str, folder: Path, capsys: pytest.CaptureFixture):
    arguments, part = ARGUMENTS[name]
    check_line(folder, arguments, part, capsys)


@pytest.mark.parametrize(
    'name', ['my net.py', "my'net.py", 'my"net.py', 'my{{x}}.py', 'my\\net.py', 'mé.py', 'a "b/c.py']
)
@pytest.mark.slow
def test_any_name_of_a_host_is_one_of_configs_that_load(name: str, folder: Path, capsys: pytest.CaptureFixture):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(HOST)
    assert run_command('convert', [name, '--out-dir', 'out'], 'mmdas convert') == 0
    assert len(list((folder / 'out').iterdir())) == 3


@pytest.mark.slow
def test_a_config_is_converted_again_without_a_word(folder: Path, capsys: pytest.CaptureFixture):
    for _ in range(2):
        assert run_command('convert', ['mine.py', '--out-dir', 'out'], 'mmdas convert') == 0
    assert capsys.readouterr().err == ''


def test_files_that_cannot_all_be_written_leave_none(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write = Path.write_text

    def fail(path: Path, text: str, **options: str) -> int:
        if path.name.startswith('das-'):
            raise OSError('no space left on device')
        return write(path, text, **options)

    monkeypatch.setattr(Path, 'write_text', fail)
    before = files(folder)
    with pytest.raises(OSError, match='no space left'):
        add_das('mine.py', 'a/b/out')
    assert files(folder) == before


def test_wrong_types_are_an_error_of_the_conversion_in_python(folder: Path):
    (folder / 'mine.py').write_text(f'{HOST}train_cfg = [1]')
    with pytest.raises(ConversionError, match='train_cfg is'):
        add_das('mine.py', 'out')
