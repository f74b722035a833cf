"""The races of the kernels run, at sizes of a test."""

import pytest

from benchmarks.harness import Settings
from benchmarks.races import a2_relaxed_cell, g4_cell_per_edge, g5_inference, g6_tsm_channels_last
from benchmarks.races.e1_inference import Sizes

QUICK = Settings(quick=True)


@pytest.mark.slow
def test_the_cell_is_checked_and_measured_at_its_size(monkeypatch):
    monkeypatch.setattr(g4_cell_per_edge, 'SIDE', 12)
    monkeypatch.setattr(a2_relaxed_cell, 'SIZES', ((12, 2),))  # where the cell with strengths per edge is checked
    report = g4_cell_per_edge.run(QUICK)
    assert report.metrics.keys() == set(g4_cell_per_edge.METRICS)
    assert 0 < report.metrics['operators_mib'] < 10
    assert report.tables[0].rows[0][0] == '12 B2'


@pytest.mark.slow
def test_the_shift_is_measured_in_channels_last_alone(monkeypatch):
    monkeypatch.setattr(g6_tsm_channels_last, 'SIZES', ((16, 8, 3, 3), (8, 16, 2, 2)))
    report = g6_tsm_channels_last.run(QUICK)
    ratios = [row[-1] for row in report.tables[0].rows]
    assert report.metrics == {'tsm_channels_last': max(ratios)}


@pytest.mark.slow
def test_inference_is_measured_with_and_without_its_parts(monkeypatch):
    monkeypatch.setattr(g5_inference, 'QUICK', Sizes(batches=(1,), sides={'classifier R18': 32}, rounds=2))
    monkeypatch.setattr(g5_inference, 'HOSTS', ('classifier R18',))
    monkeypatch.setattr(g5_inference, 'FRAMES', (2,))
    report = g5_inference.run(QUICK)
    (row,) = report.tables[0].rows
    assert row[:2] == ('classifier R18, 1x32x32', 2)
    assert report.metrics['inference_over_batch'] == row[-3]
