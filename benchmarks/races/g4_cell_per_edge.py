"""G4: the relaxed cell with a strength per edge at 380 x 380 pixels: its loop, its operators and its first step."""

from benchmarks.harness import Report, Settings
from benchmarks.races.a2_relaxed_cell import FRAMES, race_size

TITLE = 'relaxed cell with a strength per edge, 14 edges x 5 operations, forward and backward to the logits'
METRICS = ('cell_per_edge_380', 'operators_mib', 'first_step_s')
SIDE, BATCH = 380, 2


def run(settings: Settings) -> Report:
    """Time the one size; ``quick`` has fewer rounds."""
    row = race_size(SIDE, BATCH, settings)
    report = Report()
    report.table(
        f'milliseconds, median (min), T = {FRAMES}; x loop; MiB of the operators; CPU seconds of the first step',
        ('size', 'loop of 70', 'mmdas, strength per edge', 'x loop', 'operators', 'first step'),
        [(row['size'], *row['milliseconds'][:2], row['speedups'][1], row['operators'][0], row['made'][0])],
    )
    report.metric('cell_per_edge_380', row['speedups'][1])
    report.metric('operators_mib', row['operators'][0])
    report.metric('first_step_s', row['made'][0])
    return report
