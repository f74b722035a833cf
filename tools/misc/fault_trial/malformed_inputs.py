"""Malformed configs, arguments and policy files, for the trial of faults and the tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmdas.search.policy_file import MAX_BYTES

HOST = "_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\n"
SEGMENTOR = "_base_ = ['mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py']\n"
PLAIN = (
    "default_scope = 'mmpretrain'\nmodel = dict(type='ImageClassifier', backbone={}, head=dict(type='LinearClsHead'))\n"
)
LAZY = 'from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n'
# Content of the config -> a part of the line.
CONFIGS: dict[str, tuple[str | bytes, str]] = {
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
    'custom imports of the wrong type': (f'{HOST}custom_imports = 3', 'custom_imports of the config'),
    'custom imports that are absent': (
        f"{HOST}custom_imports = dict(imports=['absent_module'])",
        'custom_imports of the config',
    ),
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
    'a null byte in the output folder': (['mine.py', '--out-dir', 'a\0b'], 'embedded null'),
    'a folder in the place of a file': (['mine.py', '--out-dir', 'taken'], 'would be written over'),
    'a folder as config': (['folder'], 'there is no file folder'),
    'an empty name': ([''], 'there is no file'),
    'a long name': (['x' * 5000], 'there is no file'),
    'a file without ending': (['plain'], 'Only py/yml/yaml/json type are supported'),
    'JSON of a list': (['list.json'], 'list.json cannot be read'),
    'broken YAML': (['broken.yaml'], 'broken.yaml cannot be read'),
}


def write_files(folder: Path) -> None:
    """Write the sound and broken files that the configs and arguments name."""
    (folder / 'folder').mkdir()
    (folder / 'taken' / 'search-4f-gsf_mine.py').mkdir(parents=True)
    (folder / 'binary.py').write_bytes(b'\x00\xff')
    sound = dict.fromkeys(('base.py', 'mine.py', 'plain'), HOST)
    broken = {'broken.py': 'x = (', 'list.json': '[1]', 'broken.yaml': 'a: [', 'circle.py': "_base_ = ['./mine.py']"}
    for name, text in {**sound, **broken}.items():
        (folder / name).write_text(text)


def files(folder: Path) -> set[Path]:
    """All files and folders in a folder, without compiled ones."""
    return {path for path in folder.rglob('*') if '__pycache__' not in path.parts}


def edge(source: int, target: int, operation: str = 'rotate', strength: float = 1.0) -> dict[str, Any]:
    """An edge of a policy."""
    return dict(source=source, target=target, operation=operation, strength=strength)


def text(**fields: Any) -> str:
    """A sound policy with other fields."""
    sound = dict(schema_version=2, num_frames=4, num_nodes=2, edges=[edge(0, 2), edge(2, 3, 'translate_x', 0.1)])
    return json.dumps({**sound, **fields})


def first(operation: str, strength: float, **fields: Any) -> str:
    """A policy whose first edge has this operation."""
    return text(edges=[edge(0, 2, operation, strength), edge(2, 3)], **fields)


def chain(length: int) -> list[dict]:
    """Edges of nodes one after the other."""
    return [edge(target - 1, target) for target in range(2, 2 + length)]


def full(num_nodes: int) -> list[dict]:
    """All edges that nodes can have."""
    return [edge(source, target) for target in range(2, 2 + num_nodes) for source in range(target)]


# What a file holds -> a part of the message, None for a policy.
POLICIES: dict[str, tuple[Callable[[], str], str | None]] = {
    '10,000 edges': (lambda: text(num_nodes=140, edges=full(140)), None),
    '10,000 nodes': (lambda: text(num_nodes=10_000, edges=chain(10_000)), 'num_nodes is 10000, .* at most 256'),
    'a chain of 256 nodes': (lambda: text(num_nodes=256, edges=chain(256)), None),
    'one edge 10,000 times': (lambda: text(edges=[edge(0, 2)] * 10_000), 'more than once'),
    '100,000 wrong edges': (lambda: text(edges=[edge(0, 2, 'x')] * 100_000), "operation is 'x'"),
    'a million lists in each other': (lambda: '[' * 10**6 + ']' * 10**6, 'within each other'),
    'a million open lists': (lambda: '[' * 10**6, 'within each other'),
    'objects in each other': (lambda: '{"a":' * 10**5 + '1' + '}' * 10**5, 'within each other'),
    'a deep origin': (lambda: text(origin=5).replace('5}', '[' * 900 + ']' * 900 + '}'), 'within each other'),
    'a key twice': (lambda: '{"num_frames": 4, "num_frames": 5}', "the key 'num_frames' stands twice"),
    'a key twice in an edge': (lambda: text().replace('"source": 0', '"source": 0, "source": 0'), "'source' stands"),
    'a billion frames': (lambda: text(num_frames=10**9), 'num_frames is 1000000000, .* at most 1024'),
    'frames of 400 digits': (lambda: text(num_frames=10**400), 'num_frames is 10000'),
    'frames of 5,000 digits': (lambda: '{"num_frames": 1' + '0' * 5000 + '}', 'not a JSON file'),
    'a billion nodes': (lambda: text(num_nodes=10**9), 'num_nodes is 1000000000'),
    'a strength of 400 digits': (lambda: first('rotate', 10**400), r'edges\[0\].strength is 1000'),
    'NaN': (lambda: first('rotate', float('nan')), r'edges\[0\].strength is nan'),
    'Infinity': (lambda: first('rotate', float('inf')), r'edges\[0\].strength is inf'),
    'the largest number': (lambda: first('rotate', 3e38), 'reach 1e39 in the outermost of 4 frames'),
    'a scale beyond numbers': (lambda: first('scale', 1e30), 'reach 1e60'),
    'a scale to nothing': (lambda: first('scale', -1 + 1e-12), 'reach inf'),
    'a brightness beyond numbers': (lambda: first('brightness', 1e38), 'reach 1e38'),
    'sums of sums': (
        lambda: text(
            num_nodes=200,
            edges=[edge(target - step, target) for target in range(2, 202) for step in (1, 2)],
            node_reduction='sum',
        ),
        'add up .* copies of the image',
    ),
    'a seed of 30 digits': (lambda: first('noise', 0.1, seed=10**30), 'seed is 1000'),
    'the largest seed': (lambda: first('noise', 0.1, seed=2**62), None),
    'a size of 400 digits': (lambda: text(reference_size=[10**400, 10**400]), 'reference_size is'),
    'the largest size': (lambda: text(reference_size=[2**20, 2**20]), None),
    'NaN in the origin': (lambda: text(origin={'cost': float('nan')}), 'origin holds nan'),
    'infinity in the origin': (lambda: text(origin={'cost': 5}).replace('5}', '1e999}'), 'origin holds inf'),
    'a long word': (lambda: text(ramp='x' * 10**7), r"ramp is 'xxx.*'signed', 'mirrored'"),
    'a long kind': (lambda: text(kind='x' * 10**7), 'import the module that registers it, or correct'),
    'a long key': (lambda: text(**{'x' * 10**7: 1}), 'unknown fields'),
    '100,000 keys': (lambda: text(**{f'key_{number}': 1 for number in range(10**5)}), 'unknown fields'),
    'a million operations': (lambda: text(operations=['x'] * 10**6), 'operations holds'),
    '100 MB of text': (lambda: text(origin={'x': 'a' * 10**8}), 'more than 32 MiB'),
    '100 MB of nothing': (lambda: 'x' * 10**8, 'more than 32 MiB'),
    'the largest origin': (lambda: text(origin={'x': 'a' * (MAX_BYTES - 1000)}), None),
    'a version in a list': (lambda: text(schema_version=[2]), r'schema_version is \[2\]'),
    'lists in an edge': (lambda: text(edges=[dict.fromkeys(edge(0, 2), [[]])]), r'edges\[0\].source is \[\[\]\]'),
}
