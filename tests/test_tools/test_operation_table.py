from tool_scripts import load_script

from mmdas.search.das import SPACES
from mmdas.search.das.operation_table import BUILT_IN, get_operation


def test_page_has_the_table_that_the_package_gives():
    tool = load_script('misc/operation_table.py')
    page = tool.PAGE.read_text(encoding='utf-8')
    assert tool.with_table(page) == page, 'write it anew by python tools/misc/operation_table.py'


def test_table_has_every_operation_and_its_range_in_each_space():
    rows = [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in load_script('misc/operation_table.py').table().splitlines()
    ]
    head, _, *rows = rows
    cells = {row[0].strip('`'): dict(zip(head, row, strict=True)) for row in rows}
    assert list(cells) == [operation.name for operation in BUILT_IN]
    for space in ('paper', 'flips', 'large'):
        assert [name for name, row in cells.items() if row[space]] == list(SPACES[space])
    assert cells['rotate']['large'] == cells['rotate']['paper'] == '-20 to 20'


def test_table_tells_what_the_operations_do_with_signs_and_gradients():
    tool = load_script('misc/operation_table.py')
    told = {
        name: tuple(tool.cells(get_operation(name)))[-2:]
        for name in ('rotate', 'invert', 'solarize', 'noise', 'horizontal_flip')
    }
    assert told == {
        'rotate': ('the opposite', 'yes'),
        'invert': ('the same', 'yes'),
        'solarize': ('the same', 'none'),
        'noise': ('the same', 'yes'),
        'horizontal_flip': ('the same', 'none'),
    }
