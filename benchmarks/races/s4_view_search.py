"""S4: CPU seconds of a search of views over those of the training of the network, from scratch in one run."""

import tempfile
from pathlib import Path

from benchmarks.accuracy.tasks import TASKS
from benchmarks.accuracy.test_time import ITERATIONS, measure
from benchmarks.harness import Report, Settings

TITLE = 'search of the views that a trained network averages, against its training'
METRICS = ('tta_search_over_training',)
QUICK = 10  # the part of the training of a quick run, whose ratio is that much larger


def run(settings: Settings) -> Report:
    """Train, search and test each task with one seed."""
    report, rows, ratios = Report(), [], []
    for name in ('cifar10',) if settings.quick else tuple(ITERATIONS):
        iterations = ITERATIONS[name] // (QUICK if settings.quick else 1)
        with tempfile.TemporaryDirectory() as folder:
            record = measure(TASKS[name], 0, iterations, Path(folder))
        ratios.append(record['search_over_training'])
        scores = [record['test'][views]['score'] for views in ('image', 'flips', 'searched')]
        rows.append((name, iterations, record['train_seconds'], record['search_seconds'], ratios[-1], *scores))
    columns = ('task', 'iterations', 'training, CPU s', 'search, CPU s', 'ratio', 'image', 'flips', 'searched')
    report.table('Scores of the test set, in percent', columns, rows)
    report.metric('tta_search_over_training', max(ratios))
    return report
