"""The page of ``mmdas report``: whole, without network, with the numbers of the logs."""

import json
import math
import random
import re
import xml.etree.ElementTree as ElementTree

import pytest

from mmdas.commands import main
from mmdas.visualization.report import ReportError, read_run, write_report
from mmdas.visualization.report.charts import Axes, front, line_chart, ticks

LOG = """11/28 - mmengine - INFO - per class results:
11/28 - mmengine - INFO -
+--------+-------+-------+
| Class  |  IoU  |  Acc  |
+--------+-------+-------+
|  sky   |  1.0  |  2.0  |
+--------+-------+-------+
11/28 - mmengine - INFO - later
+--------+-------+-------+
| Class  |  IoU  |  Acc  |
+--------+-------+-------+
|  sky   | {sky} | 99.1  |
| a < b  |  nan  |  nan  |
+--------+-------+-------+
"""


def make_run(folder, score=61.234567, seed=0, lr=0.1, time=0.25, sky=90.91, stamp='20260101_000000'):
    """A work directory as MMEngine leaves it."""
    logs = folder / stamp / 'vis_data'
    logs.mkdir(parents=True, exist_ok=True)
    records = [
        {'lr': lr, 'loss': 3.0 / step, 'time': time, 'memory': 100 + step, 'iter': step, 'step': step}
        for step in (20, 40)
    ]
    records += [{'mIoU': score - 1, 'time': 9.0, 'step': 20}, {'mIoU': score, 'time': 9.0, 'step': 40}]
    (logs / 'scalars.json').write_text('\n'.join(map(json.dumps, records)) + '\n{"mIoU": 1')  # killed as it wrote
    config = f"lr = {lr}\nname = '<b>&'\nrandomness = dict(deterministic=False, seed={seed})\nwork_dir = '{folder}'\n"
    (folder / 'config.py').write_text(config + "url = 'https://example.org/x.png'\n")
    (folder / stamp / f'{stamp}.log').write_text(LOG.format(sky=sky))
    (folder / 'augmentation.json').write_text('{"operations": ["rotate"]}')
    return folder


def parse(path):
    return ElementTree.fromstring(path.read_text(encoding='utf-8'))


def rows(page):
    """The cells of all tables: numbers where a cell has one, else texts."""
    return [
        [float(cell.find('data').get('value')) if cell.find('data') is not None else cell.text or '' for cell in row]
        for row in page.iter('tr')
    ]


def test_a_run_is_shown_with_the_numbers_of_its_log(tmp_path):
    page = parse(write_report([make_run(tmp_path / 'run')], tmp_path / 'page.html'))
    found = rows(page)
    assert ['mIoU', 61.234567] in found
    assert ['training, s', 0.25 * 40] in found
    assert ['GPU memory, MB', 140.0] in found
    assert ['sky', 90.91] in found
    assert [row[0] for row in found].count('sky') == 1
    texts = [pre.text for pre in page.iter('pre')]
    assert any("name = '<b>&'" in text for text in texts)
    assert any('rotate' in text for text in texts)
    assert {caption.text for caption in page.iter('figcaption')} == {'loss', 'learning rate', 'validation'}


def test_curves_of_a_search_are_its_own_and_a_receptive_field_is_shown(tmp_path):
    folder = make_run(tmp_path / 'run')
    log = next(folder.glob('*/vis_data/scalars.json'))
    entropy = [{'policy/mean_entropy': 1.5, 'policy/edge_0_2/rotate': weight, 'step': 20} for weight in (0.25,)]
    log.write_text('\n'.join(map(json.dumps, entropy)) + '\n' + log.read_text())
    shape = {'area': 77, 'radii': {'0.5': 4.125}, 'aspect': 1.5, 'orientation': -3.0, 'curve': [[1, 0.5], [2, 1.0]]}
    field = {
        'size': [48, 64],
        'theory': [{'stage': 'layer1', 'height': 43, 'width': None, 'stride': [4, 4]}],
        'clip': {'frames': 4, 'union': 900, 'reference': 500},
        'measured': {'plain': shape},
    }
    (folder / 'receptive_field.json').write_text(json.dumps(field))
    page = parse(write_report([folder], tmp_path / 'page.html'))
    captions = [caption.text for caption in page.iter('figcaption')]
    assert captions == [
        *('loss', 'learning rate', 'validation', 'the policy over the search', 'weights on the edge 0-2'),
        'share of the mass within the radius',
    ]
    found = rows(page)
    assert not [row for row in found if 'policy' in str(row[0])], 'what a search reports is no score'
    assert ['layer1', '43', 'all', '4'] in found and ['plain', '77', 4.125, 1.5, -3.0] in found
    assert any('4 frames see 900 pixels, one 500' in (text.text or '') for text in page.iter('p'))


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    page = parse(write_report([make_run(tmp_path / 'a'), make_run(tmp_path / 'b', lr=0.2)], tmp_path / 'page.html'))
    loading = {'src', 'href', 'srcset', 'data', 'action', 'poster'}
    for element in page.iter():
        assert element.tag not in ('script', 'link', 'img', 'iframe', 'object', 'image', 'use')
        assert not loading & {name.rpartition('}')[2] for name in element.attrib}
    style = ''.join(element.text for element in page.iter('style'))
    assert 'url(' not in style
    assert '@import' not in style
    assert 'prefers-color-scheme: dark' in style
    named = set(re.findall(r'var\((--\w+)\)', style))
    assert all(style.count(f'{name}:') == 2 for name in named)  # a colour for light and for dark


@pytest.mark.parametrize('name', ['<script>alert(1)</script>', 'a & b "c"', "d'e<!--"])
def test_names_are_text(tmp_path, name):
    folder = tmp_path / name.replace('/', '_')
    page = parse(write_report([make_run(folder), make_run(tmp_path / 'other', lr=3)], tmp_path / 'page.html'))
    assert not list(page.iter('script'))
    assert any(row[0] == folder.name for row in rows(page))
    assert any(title.text and title.text.startswith(f'{folder.name}: ') for title in page.iter('title'))


def test_runs_that_differ_in_their_seed_are_one_row(tmp_path):
    scores = {'plain': [60.0, 62.0, 61.0], 'other': [70.0, 70.5]}
    folders = [
        make_run(tmp_path / f'{name}_seed{seed}', score, seed, lr=0.1 + (name == 'other'), time=1 + (name == 'other'))
        for name, own in scores.items()
        for seed, score in enumerate(own)
    ]
    page = parse(write_report(folders, tmp_path / 'page.html'))
    table = {row[0]: row for row in rows(page) if len(row) == 8}
    assert table['plain'] == ['plain', '3', '0, 1, 2', 61.0, 1.0, 40.0, 140.0, 'yes']
    assert table['other'][:4] == ['other', '2', '0, 1', 70.25]
    assert table['other'][4] == pytest.approx(0.25 * 2**0.5)


def test_a_resumed_training_is_one_curve(tmp_path):
    folder = make_run(tmp_path / 'run')
    make_run(folder, score=70.0, time=0.5, stamp='20260102_000000')
    run = read_run(folder)
    assert run.training['loss'] == [(20, 0.15), (40, 0.075)]
    assert run.scores == {'mIoU': 70.0}


def test_the_front_holds_what_nothing_beats():
    draw = random.Random(0)
    for _ in range(100):
        points = {str(index): (draw.randint(0, 9), draw.randint(0, 9)) for index in range(draw.randint(1, 8))}
        found = front(points)
        unbeaten = {
            one
            for one in points.values()
            if not any(cost <= one[0] and score >= one[1] and (cost, score) != one for cost, score in points.values())
        }
        assert {points[name] for name in found} == unbeaten
        assert len({points[name] for name in found}) == len(found)


def test_points_stay_in_the_chart_and_ticks_in_the_range():
    draw = random.Random(1)
    for _ in range(50):
        count, size = draw.randint(1, 9), 10 ** draw.randint(-3, 5)
        points = [(draw.uniform(-5, 5) * size, draw.gauss(0, 3)) for _ in range(count)]
        axes = Axes(points, 'x', 'y')
        for point in points:
            x, y = axes.place(*point)
            assert 56 <= x <= 628
            assert 12 <= y <= 224
        assert 2 <= len(ticks(*axes.x)) <= 6
        assert all(axes.x[0] <= tick <= axes.x[1] for tick in ticks(*axes.x))


def test_values_that_are_not_finite_are_left_out():
    assert line_chart('loss', {'loss': [(1, math.nan)]}, 'iteration') == ''
    chart = ElementTree.fromstring(line_chart('loss', {'loss': [(1, 2.0), (2, math.inf), (3, 4.0)]}, 'iteration'))
    assert len(chart.find('.//polyline').get('points').split()) == 2


def test_what_cannot_be_shown_is_told(tmp_path, capsys):
    with pytest.raises(ReportError, match='holds no log of a run'):
        read_run(tmp_path)
    folder = make_run(tmp_path / 'run')
    with pytest.raises(ReportError, match='is named twice'):
        write_report([folder, folder], tmp_path / 'page.html')
    other = make_run(tmp_path / 'other', lr=2)
    assert main(['report', str(folder), str(other), '--metric', 'mDice']) == 2
    assert 'no run has the metric mDice; there are mIoU' in capsys.readouterr().err
    (folder / 'compare.json').write_text('{}')
    with pytest.raises(ReportError, match='has not ended'):
        write_report([folder], tmp_path / 'page.html')
    assert main(['report', str(other)]) == 0
    assert (other / 'report.html').is_file()
