"""S3: CPU seconds of a whole search by DDAS over those of a search of DAS, on reduced CIFAR-10 and equal images."""

import json
import tempfile
import time
from pathlib import Path

from mmengine.config import Config

from benchmarks.accuracy import augmentations
from benchmarks.accuracy.rows import ROWS
from benchmarks.accuracy.run import run as run_config
from benchmarks.accuracy.run import search_config
from benchmarks.accuracy.tasks import TASKS
from benchmarks.harness import Report, Settings

TITLE = 'whole search by DDAS against one of DAS, reduced CIFAR-10, equal numbers of images seen'
DAS, EXACT, SHARED = 'DAS', 'DDAS', 'DDAS, copies share the batch'
METRICS = ('ddas_search_over_das', 'shared_search_over_das')
QUICK = 10  # the part of a quick run


def run(settings: Settings) -> Report:
    """Run the three searches one after the other."""
    task = TASKS['cifar10']
    row = next(row for row in ROWS['cifar10'] if row.name == 'argmax-4f-tsm-undecayed')
    configs = {
        DAS: search_config(task, row, 0),
        EXACT: augmentations.search_config(task, 'ddas', 0),
        SHARED: augmentations.search_config(task, 'ddas-shared', 0),
    }
    report, costs, rows = Report(), {}, []
    for name, cfg in configs.items():
        if settings.quick:
            cfg.train_cfg.update({key: cfg.train_cfg[key] // QUICK for key in ('max_iters', 'warmup_iters')})
        costs[name], seen = seconds_and_images(cfg)
        rows.append((name, cfg.train_cfg.max_iters, seen, costs[name], costs[name] / costs[DAS]))
    report.table(
        'Images: of the weights part and the held-out part together, each batch once, whatever its copies',
        ('search', 'iterations', 'images', 'CPU s', '/ DAS'),
        rows,
    )
    report.metric('ddas_search_over_das', costs[EXACT] / costs[DAS])
    report.metric('shared_search_over_das', costs[SHARED] / costs[DAS])
    return report


def seconds_and_images(cfg: Config) -> tuple[float, int]:
    """CPU seconds of a search, and the images that it has seen."""
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = run_config(cfg)
        cost = json.loads(Path(folder, 'policy.json').read_text())['origin']['search_cost']['cpu_seconds']
    weights, held_out = runner.train_loop.schedule.batches_before(runner.iter)
    time.sleep(1)  # experiments are named after the second
    return cost, cfg.train_dataloader.batch_size * (weights + held_out)
