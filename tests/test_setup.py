"""Package metadata: what the code imports is declared."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / 'mmdas').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]


def requirements() -> set[str]:
    """Distributions in INSTALL_REQUIRES of setup.py."""
    for node in ast.parse((ROOT / 'setup.py').read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == 'INSTALL_REQUIRES':
            return {re.match(r'[\w-]+', line)[0] for line in ast.literal_eval(node.value)}
    raise AssertionError('setup.py has no INSTALL_REQUIRES')


def imported_modules(path: Path) -> set[str]:
    """Top-level modules that a file imports from outside its package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition('.')[0])
    return found


@pytest.mark.slow
def test_every_third_party_module_that_the_code_imports_is_a_requirement():
    own = {'mmdas', *(path.stem for path in (ROOT / 'tools').rglob('*.py'))}
    sources = [path for path in SOURCES if path.name != 'check_env.py']  # runs without any of them, as its test says
    imported = set().union(*map(imported_modules, sources)) - own - sys.stdlib_module_names
    providers = metadata.packages_distributions()
    # The classic OpenMMLab distributions are named as the maintained ones, without the prefix.
    declared = {name.removeprefix('onedl-') for name in requirements()}
    undeclared = {
        module
        for module in imported
        if not declared & {name.lower().removeprefix('onedl-') for name in providers.get(module, [])}
    }
    assert undeclared == set()
