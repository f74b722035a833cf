"""What is no config, or a wrong one, ends the conversion with one line, and nothing is written."""

from pathlib import Path

import pytest

from mmdas.apis import ConversionError, add_das
from mmdas.commands import run_command

HOST = "_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\n"
SEGMENTOR = "_base_ = ['mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py']\n"
PLAIN = (
    "default_scope = 'mmpretrain'\nmodel = dict(type='ImageClassifier', backbone={}, head=dict(type='LinearClsHead'))\n"
)
LAZY = 'from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n'
# Content of the config -> a part of the line.
MALFORMED: dict[str, tuple[str | bytes, str]] = {
    'empty': ('', "default_scope is 'none'"),
    'binary': (b'\x00\xff\xfe' * 10, 'cannot be read: '),
    'latin letters': ('x = "\xe9"'.encode('latin-1'), 'cannot be read: '),
    'two bytes a letter': ('x = 1'.encode('utf-16'), 'cannot be read: '),
    'a null byte': (b'x = 1\x00', 'cannot be read: '),
    'an open bracket': ('model = dict(\n', "cannot be read: SyntaxError: '(' was never closed"),
    'an indent': ('x = 1\n  y = 2', 'cannot be read: IndentationError'),
    'an error': ('raise RuntimeError("x")', 'cannot be read: RuntimeError: x'),
    'an error without words': ('assert False', 'cannot be read: AssertionError'),
    'an error of many lines': ('raise ValueError("a\\nb" * 10**6)', 'cannot be read: ValueError: a ba b'),
    'an exit': ('import sys\nsys.exit(0)', 'cannot be read: SystemExit: 0'),
    'an absent module': ('import absent_module', 'cannot be read: ModuleNotFoundError'),
    'an unknown name': ('x = y', "NameError: name 'y' is not defined"),
    'a reserved name': ('filename = "x"', 'filename is reserved'),
    'itself in a list': ('x = []\nx.append(x)', 'it inherits from itself, or holds itself'),
    'depth': ('x = []\nfor i in range(5000): x = [x]', 'it inherits from itself, or holds itself'),
    'custom imports of the wrong type': (f'{HOST}custom_imports = 3', 'cannot be read: TypeError'),
    'custom imports that are absent': (f"{HOST}custom_imports = dict(imports=['absent_module'])", 'ImportError'),
    'an absent base': ("_base_ = ['./absent.py']", 'absent.py'),
    'a base of the wrong type': ('_base_ = 3', 'cannot be read: TypeError'),
    'a base of no package': ("_base_ = ['nowhere::x.py']", 'mine.py cannot be read: '),
    'a base that is a folder': ("_base_ = ['./folder']", 'folder'),
    'a broken base': ("_base_ = ['./broken.py']", 'SyntaxError'),
    'a binary base': ("_base_ = ['./binary.py']", 'cannot be read: '),
    'itself as base': ("_base_ = ['./mine.py']", 'it inherits from itself'),
    'bases in a circle': ("_base_ = ['./circle.py']", 'it inherits from itself'),
    'a base twice': ("_base_ = ['./base.py', './base.py']", 'Duplicate key'),
    'an absent variable of the base': (f'{HOST}x = {{{{_base_.absent.y}}}}', "KeyError: 'absent'"),
    'an absent pure-Python base': (LAZY.format('absent'), 'ConfigParsingError'),
    'a broken pure-Python base': (LAZY.format('broken'), 'SyntaxError'),
    'itself as pure-Python base': (LAZY.format('mine'), 'it inherits from itself'),
    'a model that is a list': ('default_scope = "mmseg"\nmodel = [1, 2]', 'model is [1, 2], expected a dict or None'),
    'a model that is a text': ('default_scope = "mmseg"\nmodel = "x"', "model is 'x', expected a dict"),
    'no model': ('default_scope = "mmseg"', 'model.type is None'),
    'a scope that is a list': ('default_scope = ["mmseg"]\nmodel = dict(type="X")', "default_scope is ['mmseg']"),
    'another toolbox': ('default_scope = "mmdet"\nmodel = dict(type="X")', "default_scope is 'mmdet'"),
    'no backbone': (PLAIN.format('None'), 'the model has no backbone'),
    'a backbone that is a text': (PLAIN.format('"x"'), "model.backbone is 'x', expected a dict"),
    'a backbone that is a list': (PLAIN.format('[1]'), 'model.backbone is [1], expected a dict'),
    'a backbone of no type': (f'{HOST}model = dict(backbone=dict(_delete_=True, depth=18))', 'backbone: '),
    'an unknown backbone': (f'{HOST}model = dict(backbone=dict(type="Absent"))', 'backbone: '),
    'a head that is a number': (f'{SEGMENTOR}model = dict(auxiliary_head=3)', 'model.auxiliary_head is 3, expected'),
    'a list of no heads': (f'{SEGMENTOR}model = dict(auxiliary_head=[None])', 'model.auxiliary_head[0] is None'),
    'minus one class': (f'{SEGMENTOR}model = dict(decode_head=dict(num_classes=-1))', 'num_classes is -1, expected'),
    'no class': (f'{SEGMENTOR}model = dict(decode_head=dict(num_classes=0))', 'num_classes is 0, expected an integer'),
    'a text for classes': (f'{HOST}model = dict(head=dict(num_classes="x"))', "model.head.num_classes is 'x'"),
    'classes missing': (
        f'{HOST}model = dict(head=dict(_delete_=True, type="LinearClsHead", in_channels=512))',
        "missing 1 required positional argument: 'num_classes'",
    ),
    'a preprocessor that is a number': (f'{HOST}data_preprocessor = 3', 'data_preprocessor is 3, expected a dict'),
    'an unknown preprocessor': (f'{HOST}data_preprocessor = dict(type="X")', 'data_preprocessor.type is X'),
    'a mean that is a text': (f'{HOST}data_preprocessor = dict(mean="x")', 'data_preprocessor: '),
    'no data': (f'{HOST}train_dataloader = None', 'the config has no train_dataloader'),
    'data that are a text': (f'{HOST}train_dataloader = "x"', "train_dataloader is 'x', expected a dict or None"),
    'data without a data set': (f'{HOST}train_dataloader = dict(_delete_=True, batch_size=3)', 'has no dataset'),
    'an unknown data set': (f'{HOST}train_dataloader = dict(dataset=dict(type="X"))', "'X', which is not registered"),
    'a loop that is a list': (f'{HOST}train_cfg = [1]', 'train_cfg is [1], expected a dict or None'),
    'an unknown loop': (f'{HOST}train_cfg = dict(type="X")', "train_cfg.type is 'X', which is not registered"),
    'epochs that are a text': (f'{HOST}train_cfg = dict(max_epochs="x")', "train_cfg.max_epochs is 'x'"),
    'minus three epochs': (f'{HOST}train_cfg = dict(max_epochs=-3)', 'train_cfg.max_epochs is -3'),
    'infinite epochs': (f'{HOST}train_cfg = dict(max_epochs=float("inf"))', 'train_cfg.max_epochs is inf'),
    'an optimiser that is a text': (f'{HOST}optim_wrapper = "x"', "optim_wrapper is 'x', expected a dict or None"),
    'an unknown optimiser': (f'{HOST}optim_wrapper = dict(optimizer=dict(type="X"))', "optimizer.type is 'X', which"),
    'an unknown wrapper': (
        f'{HOST}optim_wrapper = dict(type="X")',
        "optim_wrapper.type is 'X', which is not registered",
    ),
    'batches to accumulate': (f'{HOST}optim_wrapper = dict(accumulative_counts="x")', "accumulative_counts is 'x'"),
    'randomness of none': (f'{HOST}randomness = None', 'randomness is None, expected a dict'),
    'schedulers of numbers': (f'{HOST}param_scheduler = [1]', 'param_scheduler[0] is 1, expected a dict'),
    'hooks that are a number': (f'{HOST}custom_hooks = 3', 'custom_hooks is 3, expected a list or None'),
}
ENDLESS = ('itself as base', 'bases in a circle')  # MMEngine reads them again and again, which takes 12 seconds
# Further arguments of the command -> a part of the line.
ARGUMENTS: dict[str, tuple[list[str], str]] = {
    'one frame': (['mine.py', '--frames', '1'], 'frames must be at least 2, got 1'),
    'a text for frames': (['mine.py', '--frames', 'x'], "invalid int value: 'x'"),
    'frames beyond use': (['mine.py', '--frames', '1000000000'], 'frames must be at most 1024, got 1000000000'),
    'an unknown fusion': (['mine.py', '--fusion', 'x'], 'fusion must be one of'),
    'an absent site': (['mine.py', '--sites', 'absent'], 'absent'),
    'a folder as policy': (['mine.py', '--policy', 'folder'], "policy is 'folder', a folder"),
    'a broken policy': (['mine.py', '--policy', 'broken.py'], 'broken.py: not a JSON file'),
    'a file as output folder': (['mine.py', '--out-dir', 'base.py'], 'base.py'),
    'an output folder in a file': (['mine.py', '--out-dir', 'base.py/x'], 'base.py/x'),
    'a long output folder': (['mine.py', '--out-dir', 'x' * 300], 'File name too long'),
    'a null byte in the output folder': (['mine.py', '--out-dir', 'a\0b'], 'null byte'),
    'a folder in the place of a file': (['mine.py', '--out-dir', 'taken'], 'would be written over'),
    'a folder as config': (['folder'], 'there is no file folder'),
    'an empty name': ([''], 'there is no file'),
    'a long name': (['x' * 5000], 'there is no file'),
    'a file without ending': (['plain'], 'Only py/yml/yaml/json type are supported'),
    'JSON of a list': (['list.json'], 'list.json cannot be read'),
    'broken YAML': (['broken.yaml'], 'broken.yaml cannot be read'),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sound and broken files, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'taken' / 'search-4f-gsf_mine.py').mkdir(parents=True)
    (tmp_path / 'binary.py').write_bytes(b'\x00\xff')
    texts = {
        'base.py': HOST,
        'mine.py': HOST,
        'plain': HOST,
        'circle.py': "_base_ = ['./mine.py']",
        'broken.py': 'x = (',
    }
    for name, text in {**texts, 'list.json': '[1]', 'broken.yaml': 'a: ['}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob('*') if '__pycache__' not in path.parts}


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
    'name', [pytest.param(name, marks=pytest.mark.slow) if name in ENDLESS else name for name in MALFORMED]
)
def test_malformed_config_is_one_line_and_nothing_is_written(name: str, folder: Path, capsys: pytest.CaptureFixture):
    content, part = MALFORMED[name]
    (folder / 'mine.py').write_bytes(content if isinstance(content, bytes) else content.encode())
    check_line(folder, ['mine.py', '--out-dir', 'out'], part, capsys)


@pytest.mark.parametrize('name', ARGUMENTS)
def test_malformed_argument_is_one_line_and_nothing_is_written(name: str, folder: Path, capsys: pytest.CaptureFixture):
    arguments, part = ARGUMENTS[name]
    check_line(folder, arguments, part, capsys)


@pytest.mark.parametrize(
    'name', ['my net.py', "my'net.py", 'my"net.py', 'my{{x}}.py', 'my\\net.py', 'mé.py', 'a "b/c.py']
)
def test_any_name_of_a_host_is_one_of_configs_that_load(name: str, folder: Path, capsys: pytest.CaptureFixture):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(HOST)
    assert run_command('convert', [name, '--out-dir', 'out'], 'mmdas convert') == 0
    assert len(list((folder / 'out').iterdir())) == 3


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
