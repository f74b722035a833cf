"""Progress of steps, from their logs."""

import pytest
from rich.console import Console

from mmdas.commands import step_log
from mmdas.commands.step_log import Place, Report, read_progress


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        (
            '11/21 04:46:03 - mmengine - INFO - Iter(train) [ 50/600]  lr: 2.7e-03  eta: 0:01:29  time: 0.1',
            Place(50, 600, '0:01:29'),
        ),
        (
            'INFO - Iter(train) [184/184]  weights.lr: 1e-3 policy.lr: 3e-3  eta: 0:00:00  time: 0.8',
            Place(184, 184, '0:00:00'),
        ),
        ('INFO - Iter(test) [ 50/100]    eta: 0:00:01  time: 0.0083  data_time: 0.0011', Place(50, 100, '0:00:01')),
        (
            'INFO - Epoch(train)  [ 12][ 10/270]  lr: 1e-3  eta: 1 day, 2:03:04  time: 0.8',
            Place(10, 270, '1 day, 2:03:04', 12),
        ),
        ('INFO - Iter(val) [ 50/100]    eta: 0:00:01  time: 0.0083  data_time: 0.0011', None),
        ('INFO - Saving checkpoint at 600 iterations', None),
    ],
)
def test_progress_is_read_from_the_log(line, expected):
    assert read_progress(line) == expected


def test_iterations_beyond_an_epoch_are_told_as_such():
    """A loop over iterations whose log processor counts epochs, which is MMEngine's default."""
    assert str(read_progress('Epoch(train) [1][500/25]  eta: 0:02:40')) == '500 iterations, 0:02:40 left'
    assert str(read_progress('Epoch(train) [2][25/25]  eta: 0:02:40')) == 'epoch 2, 25/25, 0:02:40 left'


def test_epochs_are_told_once_a_minute(monkeypatch, capsys):
    clock = iter([0.0, 10.0, 61.0, 61.0, 70.0])
    monkeypatch.setattr(step_log.time, 'monotonic', lambda: next(clock))
    report = Report(Console()).start('train')
    for epoch in (1, 2, 3):
        report.update(f'Epoch(train) [{epoch}][5/9]  eta: 0:00:0{epoch}')
    assert capsys.readouterr().out.splitlines() == ['train ...', '    epoch 2, 5/9, 0:00:02 left']
