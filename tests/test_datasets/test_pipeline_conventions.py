"""The table of docs/conventions.md is what the installed libraries do."""

from pathlib import Path

import pytest
from pipeline_conventions import LIBRARIES, ROWS, measured

PAGE = Path(__file__).parents[2] / 'docs' / 'conventions.md'


def cells_of(library: str) -> dict[str, str]:
    text = PAGE.read_text(encoding='utf-8').partition('<!-- pipelines -->')[2].partition('<!-- end')[0]
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in text.splitlines() if line.startswith('|')]
    place = lines[0].index(library)
    return {line[0]: line[place] for line in lines[2:]}


@pytest.mark.parametrize('library', LIBRARIES)
def test_column_of_a_library_is_what_its_pipeline_does(library: str):
    assert tuple(cells_of(library)) == ROWS
    assert cells_of(library) == measured(library)
