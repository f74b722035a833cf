"""Imports run one way: ops, search, augment, hosts, models, engine, apis, commands; this reads them from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmdas'

# Layer -> the layers that it may import besides itself. A layer is a folder or a module right below mmdas/.
COMMON = {'noise', 'registry', 'utils', 'version'}
BELOW = {'ops', 'search', 'style', 'augment', 'hosts'}  # the models
ALLOWED = {
    'noise': set(),
    'registry': {'noise'},
    'utils': set(),
    'version': set(),
    '__init__': {'version'},
    'ops': {'utils'},
    'search': {'ops', 'utils'},
    'style': {'ops', 'utils'},
    'cell': {'search'},  # its former name
    'augment': {'ops', 'search', 'style'} | COMMON,
    'hosts': {'ops', 'search', 'style', 'augment'} | COMMON,
    'models': BELOW | COMMON,
    # Beside the models: data sets know nothing of the method, pictures and measurements look at it from outside.
    'datasets': COMMON,
    'visualization': {'ops', 'search'} | COMMON,
    'deploy': {*BELOW, 'models'} | COMMON,
    'analysis': {*BELOW, 'models', 'visualization'} | COMMON,
    'engine': {*BELOW, 'models', 'visualization', 'analysis'} | COMMON,
    'apis': {*BELOW, 'models', 'datasets', 'visualization', 'analysis', 'engine', 'deploy'} | COMMON,
    'commands': {*BELOW, 'models', 'datasets', 'visualization', 'analysis', 'engine', 'apis', 'deploy'} | COMMON,
    '__main__': {'commands'},
}
# The core runs without any toolbox.
CORE = {'ops', 'search', 'style'}
TOOLBOXES = {'mmengine', 'mmcv', 'mmseg', 'mmpretrain'}


def source_files(package: Path) -> list[Path]:
    files = (path for path in sorted(package.rglob('*.py')))
    return [path for path in files if not any(part.startswith('.') for part in path.relative_to(package).parts)]


def imported_names(tree: ast.AST, module: list[str]) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import, those inside functions too; `module` is the importer's package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module[: len(module) - node.level + 1] if node.level else []
            origin = '.'.join([*base, *filter(None, [node.module])])
            yield from ((node.lineno, f'{origin}.{alias.name}') for alias in node.names)


def layer_of(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix('.py')


def has_all(tree: ast.Module) -> bool:
    targets = (target for node in tree.body for target in getattr(node, 'targets', [getattr(node, 'target', None)]))
    return any(isinstance(target, ast.Name) and target.id == '__all__' for target in targets)


def import_violation(layer: str, name: str) -> str | None:
    """What is wrong with an import of `name` from `layer`, or None."""
    parts = name.split('.')
    if parts[-1] == '*':
        return f'star import of {name}'
    if layer in CORE and parts[0] in TOOLBOXES:
        return f'{layer} imports {name}'
    if parts[0] != PACKAGE.name or len(parts) < 2 or parts[1] not in ALLOWED:
        return None  # another package, or a name of mmdas/__init__.py
    if parts[1] != layer and parts[1] not in ALLOWED[layer]:
        return f'{layer} imports {name}'
    return None


def violations(package: Path) -> list[str]:
    found = []
    for path in source_files(package):
        place, layer = path.relative_to(package.parent).as_posix(), layer_of(path, package)
        tree = ast.parse(path.read_text(encoding='utf-8'))
        if layer not in ALLOWED:
            found.append(f'{place}: {layer} has no place in the order of the layers')
            continue
        if path.name == '__init__.py' and not has_all(tree):
            found.append(f'{place}: no __all__')
        module = [PACKAGE.name, *path.relative_to(package).parts[:-1]]
        for line, name in imported_names(tree, module):
            problem = import_violation(layer, name)
            if problem:
                found.append(f'{place}:{line}: {problem}')
    return found


@pytest.mark.slow
def test_imports_of_the_package_run_one_way():
    assert violations(PACKAGE) == []


def test_every_file_of_the_package_is_read():
    read = {layer_of(path, PACKAGE) for path in source_files(PACKAGE)}
    assert {'ops', 'search', 'models', 'engine', 'apis', 'registry'} <= read


def test_order_of_the_layers_has_no_cycle():
    remaining = {layer: set(allowed) for layer, allowed in ALLOWED.items()}
    while remaining:
        free = {layer for layer, allowed in remaining.items() if not allowed & remaining.keys()}
        assert free, f'these import one another: {sorted(remaining)}'
        remaining = {layer: allowed for layer, allowed in remaining.items() if layer not in free}


@pytest.mark.parametrize(
    ('file', 'source', 'problem'),
    [
        ('ops/warp.py', 'from mmdas.search.das import DASCell', 'ops imports mmdas.search.das.DASCell'),
        ('ops/warp.py', 'def f():\n    import mmdas.engine', 'ops imports mmdas.engine'),
        ('ops/warp.py', 'from ..registry import MODELS', 'ops imports mmdas.registry.MODELS'),
        ('search/das/node.py', 'from ... import models', 'search imports mmdas.models'),
        ('search/cell.py', 'from mmengine.model import BaseModule', 'search imports mmengine.model.BaseModule'),
        ('models/heads/head.py', 'from ...engine.hooks import X', 'models imports mmdas.engine.hooks.X'),
        ('datasets/camvid.py', 'import mmdas.ops.clip as clip', 'datasets imports mmdas.ops.clip'),
        ('engine/loop.py', 'from mmdas.apis import build_runner', 'engine imports mmdas.apis.build_runner'),
        ('registry.py', 'from .models import X', 'registry imports mmdas.models.X'),
        ('models/head.py', 'from torch.nn import *', 'star import'),
        ('models/__init__.py', 'from .head import Head', 'no __all__'),
        ('gadgets/__init__.py', '__all__ = []', 'gadgets has no place'),
    ],
)
def test_planted_violation_is_found(tmp_path: Path, file: str, source: str, problem: str):
    path = tmp_path / 'mmdas' / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    found = violations(tmp_path / 'mmdas')
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize(
    ('file', 'source'),
    [
        ('search/cell.py', 'import torch\nfrom mmdas.ops.clip import repeat_image\nfrom .policy import Policy'),
        ('models/heads/__init__.py', "from .head import Head\n__all__ = ['Head']"),
        ('engine/hooks/hook.py', 'from mmengine.hooks import Hook\nfrom ...visualization import draw'),
        ('models/norm.py', 'from mmdas import __version__\nfrom mmdas.registry import MODELS'),
        ('.mim/tools/x.py', 'from mmdas import *'),
    ],
)
def test_import_along_the_order_is_allowed(tmp_path: Path, file: str, source: str):
    path = tmp_path / 'mmdas' / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations(tmp_path / 'mmdas') == []
