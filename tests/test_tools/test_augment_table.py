from tool_scripts import load_script

from mmdas.search.augmentation import AUGMENT_OPERATIONS


def test_page_has_the_table_that_the_package_gives():
    tool = load_script('misc/augment_table.py')
    page = tool.PAGE.read_text(encoding='utf-8')
    assert tool.with_table(page) == page, 'write it anew by python tools/misc/augment_table.py'


def test_table_tells_units_ranges_and_what_labels_do():
    tool = load_script('misc/augment_table.py')
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in tool.table().splitlines()[2:]]
    cells = {row[0].strip('`'): row[2:] for row in rows}
    assert list(cells) == list(AUGMENT_OPERATIONS)
    assert cells['rotate'] == ['degree', '-180 to 180', 'yes', 'follow']
    assert cells['posterize'] == ['bits removed', '0 to 7', '', 'stay']
    assert cells['vertical_flip'] == ['', '', '', 'follow']
    assert all(row[1] for row in rows)
