"""G6: the shift of TSM where the channels of a pixel lie side by side, forward and backward, against two copies."""

from benchmarks.harness import Report, Settings
from benchmarks.races.b1_temporal_shift import FRAMES, SIZES, race_size

TITLE = 'temporal shift (TSM) in channels_last, forward and backward, against two plain copies'
METRICS = ('tsm_channels_last',)


def run(settings: Settings) -> Report:
    """Time all sizes."""
    rows = [race_size(size, 'channels_last', settings) for size in SIZES]
    report = Report()
    report.table(
        f'milliseconds, median (min), of forward and backward, T = {FRAMES}',
        ('size', 'two copies', 'mmdas', 'cat of pieces', 'mmaction2', 'original', '/ two copies'),
        [(row[0], *row[2:8]) for row in rows],
    )
    report.metric('tsm_channels_last', max(row[-2] for row in rows))
    return report
