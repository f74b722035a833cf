"""The documentation's site: its contents name every page and every public name, and it is built without a warning."""

import importlib
import re
import runpy
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = runpy.run_path(str(ROOT / 'docs' / 'conf.py'))
CONTENTS = SETTINGS['CONTENTS']
AUTOMODULE = re.compile(r'^\.\. automodule:: (\S+)\n(?:   :exclude-members: (.*)\n)?', re.MULTILINE)
SINGLE = re.compile(r'^\.\. auto(?:class|function):: (\S+)\.(\w+)$', re.MULTILINE)
COMMANDS = ('mmdas.commands.main', 'mmdas.commands.run_command')  # which the pages describe
API = sorted((ROOT / 'docs' / 'api').glob('*.rst'))


def documented() -> list[tuple[str, set[str]]]:
    """Modules of the API pages, and which of their public names are there."""
    text = '\n'.join(page.read_text() for page in API)
    found = [(module, set(filter(None, excluded.split(', ')))) for module, excluded in AUTOMODULE.findall(text)]
    assert len({module for module, _ in found}) == len(found)
    for module, excluded in found:
        assert excluded <= public_names(module).keys(), f'{module} does not have all of {excluded}'
    whole = [(module, public_names(module).keys() - excluded) for module, excluded in found]
    return [*whole, *((module, {name}) for module, name in SINGLE.findall(text))]


def public_names(module: str) -> dict[str, Any]:
    """Classes and functions of ``__all__``."""
    package = importlib.import_module(module)
    things = {name: getattr(package, name) for name in getattr(package, '__all__', ())}
    return {name: thing for name, thing in things.items() if hasattr(thing, '__qualname__')}


def test_contents_name_every_page_once():
    named = [entry for pages in CONTENTS.values() for entry in pages if not entry.startswith('/')]
    pages = (path.relative_to(ROOT / 'docs').with_suffix('') for path in (ROOT / 'docs').rglob('*.md'))
    assert sorted(named) == sorted({*map(str, pages), 'api/index'} - {'README'})
    outside = [entry for pages in CONTENTS.values() for entry in pages if entry.startswith('/')]
    assert all(list(ROOT.glob(f'{entry[1:]}.md')) for entry in outside)
    read = {path for pattern in SETTINGS['include_patterns'] for path in ROOT.glob(pattern)}
    assert {path for entry in outside for path in ROOT.glob(f'{entry[1:]}.md')} <= read


def test_bars_in_docstrings_are_code():
    """Elsewhere the site takes what stands between them for the name of a substitution."""
    texts = ((path, path.read_text()) for path in (ROOT / 'mmdas').rglob('*.py'))
    docstrings = ((path, text) for path, source in texts for text in re.findall(r'"""(.*?)"""', source, re.DOTALL))
    bare = ((path, re.sub(r'``.*?``', '', text, flags=re.DOTALL)) for path, text in docstrings)
    assert [path for path, text in bare if re.search(r'(?<![\w|])\|[\w ]+\|(?![\w|])', text)] == []


def test_index_of_the_api_names_every_page_of_it():
    index = (ROOT / 'docs' / 'api' / 'index.rst').read_text().split()
    assert [page.stem for page in API if page.stem not in (*index, 'index')] == []


def test_every_public_name_is_documented_once():
    places = defaultdict(list)
    for module, names in documented():
        for name in names:
            places[public_names(module)[name]].append(f'{module}.{name}')
    assert [found for found in places.values() if len(found) > 1] == [], 'one of them belongs into :exclude-members:'
    packages = [path.parent.relative_to(ROOT) for path in (ROOT / 'mmdas').rglob('__init__.py')]
    public = {
        f'{package}.{name}': thing
        for package in ('.'.join(path.parts) for path in packages if '.mim' not in path.parts)
        for name, thing in public_names(package).items()
    }
    missing = sorted(name for name, thing in public.items() if thing not in places and name not in COMMANDS)
    assert not missing, f'docs/api has no {missing}'


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path: Path):
    for module in ('sphinx', 'furo', 'myst_parser'):
        pytest.importorskip(module, reason="the site needs pip install 'mmdas[docs]'")
    # Pages of the sources take as long as all others together, and furo's tree of contents on each page as long again.
    parts = ','.join(part for part in SETTINGS['extensions'] if part != 'sphinx.ext.viewcode')
    options = ['-W', '--keep-going', '-q', '-D', f'extensions={parts}', '-D', 'html_theme=basic', '-c', ROOT / 'docs']
    command = [sys.executable, '-m', 'sphinx', *options, ROOT, tmp_path]
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / 'index.html').is_file() and (tmp_path / 'docs/README.html').is_file()
