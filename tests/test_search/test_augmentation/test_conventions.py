"""The table of conventions in docs/augmentation.md is what the installed libraries do."""

from pathlib import Path

import pytest
from library_conventions import LIBRARIES, ROWS, has_library, measured

PAGE = Path(__file__).parents[3] / 'docs' / 'augmentation.md'


def cells_of(library: str) -> dict[str, str]:
    text = PAGE.read_text(encoding='utf-8').partition('<!-- conventions -->')[2].partition('<!-- end')[0]
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in text.splitlines() if line.startswith('|')]
    place = lines[0].index(library)
    return {line[0]: line[place] for line in lines[2:]}


@pytest.mark.parametrize('library', LIBRARIES)
def test_column_of_a_library_is_what_it_does(library: str) -> None:
    assert list(cells_of(library)) == list(ROWS)
    if not has_library(library):
        pytest.skip(f'{library} is not installed')
    assert cells_of(library) == measured(library)
