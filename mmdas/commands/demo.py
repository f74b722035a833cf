"""The main job on an embedded data set, in under ten minutes on two CPU cores.

Makes DigitScenes, trains the plain 2-D model and one that sees the image four times (repeat), searches a policy, trains
the DAS model with it and tests all three, by the very commands of the README, run in the folder ``--out``. Ends with a
table and pictures; the output of every command is in a log beside them. The costs of the table are measured at the end,
a step of each model in turn.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.config import Config
from PIL import Image
from rich.console import Console
from rich.table import Table

from .demo_cost import IMAGE, ITERATION, measure_costs
from .parser import CommandError
from .step_log import Report, tail
from .step_process import fast_context, run_script

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

ROOT = Path(__file__).parents[1] / '.mim'  # tools and configs of the installed package
HOST = 'fcn_r18-d4_digits-48x48'
SEARCH = f'search-4f-gsf_{HOST}'
MODEL_CONFIGS = {'plain': HOST, 'repeat': f'repeat-4f-gsf_{HOST}', 'DAS': f'das-4f-gsf_{HOST}'}

POLL = 0.5  # seconds between two looks at a log
PICTURED = 5  # scenes of predictions.png and clip.png

# A few steps of everything, which shows that all works and nothing else.
QUICK_DATA = ['--train', '8', '--val', '2']
QUICK_TRAIN = ['--cfg-options', 'train_cfg.max_iters=2', 'train_dataloader.batch_size=2']
QUICK_SEARCH = [
    *QUICK_TRAIN,
    'train_cfg.warmup_iters=1',
    'train_cfg.selection.num_batches=1',
    'train_cfg.selection.tune=0',
]
EXAMPLE = 'mmdas demo --quick'


@dataclass(frozen=True)
class Step:
    """One command: what it does, its short name (of the log), and the script below the repository with its options."""

    title: str
    name: str
    command: Sequence[str]


def config_path(name: str) -> str:
    """Path of a config of DigitScenes."""
    return str(ROOT / 'configs' / 'digit_scenes' / f'{name}.py')


def steps(out: Path, quick: bool) -> Iterator[Step]:
    """The steps one after the other; a test asks for the checkpoint that the steps before it left in ``out``."""
    data, train, search = (QUICK_DATA, QUICK_TRAIN, QUICK_SEARCH) if quick else ([], [], [])
    das = config_path(MODEL_CONFIGS['DAS'])
    yield Step('make the data', 'data', ['dataset_converters/digit_scenes.py', *data])
    for model in ('plain', 'repeat'):
        command = ['train.py', config_path(MODEL_CONFIGS[model]), *train]
        yield Step(f'train the {model} model', f'train_{model}', command)
    yield Step('search the policy', 'search', ['train.py', config_path(SEARCH), *search])
    yield Step('train the DAS model', 'train_DAS', ['train.py', das, *train])
    for model, config in MODEL_CONFIGS.items():
        command = ['test.py', config_path(config), checkpoint(out, config), '--out', f'predictions/{model}']
        yield Step(f'test the {model} model', f'test_{model}', command)
    command = ['visualization/browse_clip.py', das, '--num', str(PICTURED), '--out', 'clip.png']
    yield Step('draw some clips', 'clip', command)


def checkpoint(out: Path, config: str) -> str:
    """Newest checkpoint of a config's run.

    Raises:
        CommandError: if there is none.
    """
    pointer = out / 'work_dirs' / config / 'last_checkpoint'
    if not pointer.is_file():
        raise CommandError(f'the run of {config} left no checkpoint in {out}')
    return pointer.read_text()


def environment() -> dict[str, str]:
    """Environment of the commands; what the user has set stays."""
    defaults = {
        # The tensors are small: more threads than this wait for each other.
        'OMP_NUM_THREADS': str(min(os.cpu_count() or 1, 4)),
        # By default glibc gives the memory of large tensors back to the system, which then has to clear every page of
        # it for the next step; keeping it saves a good part of the time on a CPU.
        'MALLOC_MMAP_MAX_': '0',
        'MALLOC_TRIM_THRESHOLD_': '-1',
    }
    return {**defaults, **os.environ}


def run_step(step: Step, out: Path, report: Report, context: ForkServerContext | SpawnContext) -> float:
    """Run the command of a step in the folder ``out``; the seconds that it took.

    Args:
        step: what to run.
        out: folder in which it runs, and that gets its log.
        report: where progress is told.
        context: that starts its process.

    Raises:
        SystemExit: if it fails, with the end of its log.
    """
    log, start = out / f'{step.name}.log', time.perf_counter()
    script, *options = step.command
    report = report.start(step.title)
    log.write_text('')
    process = context.Process(target=run_script, args=(ROOT / 'tools' / script, options, out, log))
    process.start()
    try:
        with log.open(encoding='utf-8', errors='replace') as file:
            running = True
            while running:
                process.join(POLL)
                running = process.is_alive()
                for line in file:
                    report.update(line)
    finally:
        process.terminate()  # after Ctrl-C; one that has ended is left alone
    if process.exitcode:
        report.progress.stop()
        raise SystemExit(
            f'{tail(log)}\n\nThe step "{step.title}" failed (exit status {process.exitcode}). Its log: {log}'
        )
    seconds = time.perf_counter() - start
    report.finish(seconds)
    return seconds


def describe_model(out: Path, model: str, costs: dict[str, float]) -> dict:
    """A row of the table.

    Args:
        out: folder of the demo.
        model: one of ``MODEL_CONFIGS``.
        costs: of it, in seconds.
    """
    from mmdas.apis import load_config

    cfg = load_config(config_path(MODEL_CONFIGS[model]))
    # The newest run in the work directory is the test, and this is the file of its metrics.
    metrics_file = max((out / 'work_dirs' / MODEL_CONFIGS[model]).glob('*/*.json'), key=lambda path: path.name)
    metrics = json.loads(metrics_file.read_text())
    return {
        'model': model,
        'mIoU': round(metrics['mIoU'], 2),
        'frames': cfg.get('num_frames', 1),
        'parameters': count_parameters(cfg),
        **{name: round(seconds, 5) for name, seconds in costs.items()},
    }


def count_parameters(cfg: Config) -> int:
    """Trainable numbers of a config's network."""
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope(cfg.default_scope)
    return sum(parameter.numel() for parameter in MODELS.build(cfg.model).parameters())


def save_predictions_figure(out: Path) -> None:
    """Draw input, truth and prediction of all models for the first validation scenes."""
    from mmdas.datasets import DigitScenesDataset
    from mmdas.visualization import draw_predictions

    data = out / 'data' / 'digit_scenes'
    names = (data / 'ImageSets/Segmentation/val.txt').read_text().split()[:PICTURED]

    def read(folder: Path, suffix: str = '.png') -> list[np.ndarray]:
        return [np.asarray(Image.open(folder / f'{name}{suffix}')) for name in names]

    figure = draw_predictions(
        read(data / 'JPEGImages', '.jpg'),
        read(data / 'SegmentationClass'),
        {model: read(out / 'predictions' / model) for model in MODEL_CONFIGS},
        DigitScenesDataset.METAINFO['palette'],
        classes=DigitScenesDataset.METAINFO['classes'],
    )
    figure.savefig(out / 'predictions.png', dpi=150)


def summarise(out: Path, seconds: dict[str, float], quick: bool) -> None:
    """Write the pictures and ``results.json``."""
    save_predictions_figure(out)
    shutil.copy(out / 'work_dirs' / SEARCH / 'policy.png', out / 'policy.png')
    costs = measure_costs(out, {model: config_path(name) for model, name in MODEL_CONFIGS.items()})
    own = {model: {'train_seconds': seconds[f'train_{model}'], **costs[model]} for model in MODEL_CONFIGS}
    results = {
        'quick': quick,
        'models': [describe_model(out, model, own[model]) for model in MODEL_CONFIGS],
        'search_seconds': round(seconds['search'], 1),
        'policy': f'work_dirs/{SEARCH}/policy.json',
    }
    (out / 'results.json').write_text(json.dumps(results, indent=2) + '\n')


def print_summary(console: Console, out: Path, results: dict) -> None:
    """Print the table and where the pictures are."""
    table = Table()
    for column in ('model', 'mIoU', 'frames', 'parameters', 'training, ms/iteration', 'test, ms/image'):
        table.add_column(column, justify='left' if column == 'model' else 'right')
    for row in results['models']:
        table.add_row(
            row['model'],
            f'{row["mIoU"]:.2f}',
            str(row['frames']),
            f'{row["parameters"]:,}',
            f'{1e3 * row[ITERATION]:.1f}',
            f'{1e3 * row[IMAGE]:.2f}',
        )
    console.print(table)
    console.print(
        'Costs: of one CPU thread or the GPU, a step of each model in turn, the fastest of some; no loading of data.'
    )
    console.print(
        f'The search took {results["search_seconds"]:.0f} s. One seed on small scenes shows how it works, not'
    )
    console.print('what it brings: see benchmarks/accuracy.md. The pictures:')
    for name, content in (
        ('clip.png', 'what the policy makes of the images: the reference frame is the image itself'),
        ('policy.png', 'the searched cell'),
        ('predictions.png', 'input, truth and predictions of the models'),
    ):
        console.print(f'  {out / name}  {content}', soft_wrap=True, highlight=False)
    folders = sorted(str(path) for path in (out / 'work_dirs').iterdir() if path.is_dir())
    console.print(f'next: {shlex.join(["mmdas", "report", *folders])}', soft_wrap=True, highlight=False)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('--out', default='demo_out', help='folder for data, runs and pictures (default: %(default)s)')
    parser.add_argument(
        '--quick', action='store_true', help='a few iterations of everything, only to see that it works'
    )


def run(args: Namespace) -> None:
    """Run all steps and show what they brought.

    Raises:
        CommandError: if a training leaves no checkpoint, or the summary fails.
    """
    out, console = Path(args.out).resolve(), Console()
    out.mkdir(parents=True, exist_ok=True)
    console.print(f'Everything goes to {out}; the logs are *.log there.', soft_wrap=True)
    os.environ.update(environment())  # before the first process, which takes it over
    report, context = Report(console), fast_context()
    with report.progress:
        seconds = {step.name: run_step(step, out, report, context) for step in steps(out, args.quick)}
    process = context.Process(target=summarise, args=(out, seconds, args.quick))
    process.start()
    process.join()
    if process.exitcode:
        raise CommandError('the summary failed, for the reason above')
    print_summary(console, out, json.loads((out / 'results.json').read_text()))
