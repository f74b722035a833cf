"""Package metadata: what the code imports is declared."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / 'mmdas').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]


def assigned(name: str) -> list | dict:
    """What setup.py assigns to a name."""
    for node in ast.parse((ROOT / 'setup.py').read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f'setup.py has no {name}')


def requirements(optional: bool) -> set[str]:
    """Distributions that setup.py requires, and those of the extras for users."""
    extras = assigned('EXTRAS_REQUIRE')
    lines = [*assigned('INSTALL_REQUIRES'), *(extras['slurm'] + extras['export'] if optional else ())]
    return {re.match(r'[\w-]+', line)[0] for line in lines}


def imported_modules(path: Path, everywhere: bool) -> set[str]:
    """Top-level modules that a file imports from outside its package: within functions, too, or with the file alone."""
    found = set()
    tree = ast.parse(path.read_text(encoding='utf-8'))
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition('.')[0])
    return found


@pytest.mark.parametrize('everywhere', [False, True])
@pytest.mark.slow
def test_every_third_party_module_that_the_code_imports_is_a_requirement(everywhere: bool):
    """Those of an extra are imported where they are used."""
    own = {'mmdas', *(path.stem for path in (ROOT / 'tools').rglob('*.py'))}
    sources = [path for path in SOURCES if path.name != 'check_env.py']  # runs without any of them, as its test says
    imported = set().union(*(imported_modules(path, everywhere) for path in sources)) - own - sys.stdlib_module_names
    providers = metadata.packages_distributions()
    # The classic OpenMMLab distributions are named as the maintained ones, without the prefix.
    declared = {name.removeprefix('onedl-') for name in requirements(optional=everywhere)}
    undeclared = {
        module
        for module in imported
        if not declared & {name.lower().removeprefix('onedl-') for name in providers.get(module, [])}
    }
    assert undeclared == set()
