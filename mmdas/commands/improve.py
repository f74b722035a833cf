"""Make a plain model better at its own cost in a test: train, augment, search, train DAS, let the plain model learn.

The steps: the plain training (or your checkpoint), a training with augmented images, the search of DAS, the training of
DAS, and a student, which is the plain model that learns from the best of them. Then all are tested. The best plain
network is written as an ordinary checkpoint. The same command goes on after a stop, and does nothing twice.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from .parser import CommandError, told_in_one_line
from .run_options import settings_of
from .step_log import Report
from .step_runs import StepRuns
from .train import seconds_of

if TYPE_CHECKING:
    from mmengine.config import Config

NOTES = 'improve.json'  # of what each step was, what it took and what it brought
STEPS = ('augmented', 'das', 'student')  # that can be left out
TITLES = {
    'plain': 'plain training',
    'augmented': 'with augmented images',
    'search': 'search of DAS',
    'das': 'training of DAS',
    'student': 'student',
}
EXAMPLE = 'mmdas improve my_config.py --checkpoint plain.pth --augment randaugment'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='plain config: a file, or the name of an installed one')
    parser.add_argument('--checkpoint', help='trained weights of the plain model, which is not trained then')
    parser.add_argument('--out', help='folder for all steps (default: work_dirs/NAME_improved)')
    parser.add_argument(
        '--augment', nargs='+', metavar='WHAT', default=['randaugment'], help='of the images, see mmdas train'
    )
    parser.add_argument('--regularize', nargs='+', metavar='WORD', default=[], help='see mmdas train')
    parser.add_argument('--frames', type=int, default=4, help='frames of a clip of DAS (%(default)s)')
    parser.add_argument(
        '--fusion',
        default='tsm',
        help='of DAS: gsf, gsm, tsm, aligned-gsf, aligned-gsm, aligned-tsm or none (%(default)s)',
    )
    parser.add_argument('--views', type=int, default=1, help='of the teacher, 1 or 2 (%(default)s)')
    parser.add_argument('--loss', nargs='+', help='of the student, see mmdas distill (kl; for segmentation kl cwd)')
    parser.add_argument('--skip', nargs='+', choices=STEPS, default=[], help='steps to leave out')
    parser.add_argument('--metric', help='that decides, higher being better (mIoU, accuracy/top1)')
    parser.add_argument('--search-budget', metavar='TIME', help='about how long the search may take, such as 30m')
    parser.add_argument(
        '--cfg-options', nargs='+', metavar='KEY=VALUE', default=[], help='settings of all trainings and tests'
    )


def run(args: Namespace) -> None:
    """Run all steps that are not done, and show what they brought.

    Raises:
        CommandError: if the user has to change something, a step fails, or it is stopped.
    """
    from mmdas.apis import is_search, load_config, preprocessor_of, require_checkpoint

    with told_in_one_line():
        cfg = load_config(args.config, cfg_options=settings_of(args.cfg_options))
        if is_search(cfg) or 'num_frames' in preprocessor_of(cfg):
            raise ValueError(f'{args.config} is a config of DAS or of a search; give the plain one that it came from')
        if args.checkpoint is not None:
            require_checkpoint(args.checkpoint)
        check_tests(cfg, args.metric)
        check_steps(args, cfg)
    out = Path(args.out or f'{cfg.work_dir}_improved')
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    console.print(f'Everything goes to {out}; the logs are *.log there.', soft_wrap=True, highlight=False)
    runs = StepRuns(out, Report(console), NOTES)
    with runs.report.progress:
        table = improve(args, cfg, runs)
    print_table(console, table, metric_name(args, cfg), out)
    if same_sets(cfg):
        console.print('The config validates on its test set: what is chosen here has seen it.')
    settings = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    words = ['mmdas', 'analyze', 'confusion', args.config, str(out / 'improved.pth'), *settings]
    console.print(f'next: {shlex.join(words)}', soft_wrap=True, highlight=False)


def check_tests(cfg: Config, metric: str | None) -> None:
    """Check before any training that the tests of a config can compare models.

    Args:
        cfg: plain.
        metric: that decides; None for that of the toolbox, which its own evaluators are known to measure or not.

    Raises:
        ValueError: if there is no test, or none of its evaluators measures the metric.
    """
    from mmdas.apis import host_of
    from mmdas.registry import type_name

    host = host_of(cfg)
    for part in ('test', *(['val'] if cfg.get('val_dataloader') is not None else [])):
        if cfg.get(f'{part}_dataloader') is None or cfg.get(f'{part}_evaluator') is None:
            raise ValueError(
                f'the config has no {part}_dataloader or no {part}_evaluator, by which models are compared'
            )
        found = cfg[f'{part}_evaluator']
        names = [type_name(one) for one in (found if isinstance(found, (list, tuple)) else [found])]
        own = [name for name in names if name in host.other_evaluators]
        if metric is None and len(own) == len(names):
            raise ValueError(
                f'{part}_evaluator is {", ".join(names)}, which does not measure {host.metric}, by which models are '
                'compared; name a metric of its own by --metric, higher being better'
            )


def check_steps(args: Namespace, cfg: Config) -> None:
    """Check the options of the later steps before the first one, which may take hours.

    Raises:
        ValueError, FileNotFoundError: for a word or number that a step refuses, or a model that cannot become one of
            DAS where that is not left out.
    """
    from copy import deepcopy

    from mmdas.apis import DASOptions, check_conversion, load_config, set_augment, set_regularizers
    from mmdas.apis.distill_config import DistillOptions, check_name

    tried = deepcopy(cfg)
    if 'augmented' not in args.skip:
        set_augment(tried, args.augment)
        set_regularizers(tried, args.regularize)
    if 'student' not in args.skip:
        check_name(cfg)
        DistillOptions((('', ''),), losses=tuple(args.loss or ['kl']))
        if args.views not in (1, 2):
            raise ValueError(f'--views is {args.views}, expected 1 or 2')
    if 'das' in args.skip:
        return
    if args.search_budget:
        seconds_of(args.search_budget)
    options = DASOptions(frames=args.frames, fusion=args.fusion)
    try:
        settings = settings_of(args.cfg_options)
        check_conversion(load_config(args.config, cfg_options=settings, das='repeat', options=options))
    except ValueError as error:
        raise ValueError(f'{error}; or leave DAS out by --skip das') from error


def improve(args: Namespace, cfg: Config, runs: StepRuns) -> list[dict[str, Any]]:
    """Run the steps; what is known of each model, best plain network first marked by ``best``."""
    scores: dict[str, float] = {}
    for name in ('plain', 'augmented', 'das'):
        if name not in args.skip:
            train(args, runs, name)
            scores[name] = validate(args, cfg, runs, name)
    if 'student' not in args.skip:
        teacher = max(scores, key=scores.__getitem__)
        runs.run('student', f'student of {teacher}', student_command(args, cfg, runs, teacher), resumes=True)
        runs.notes['student']['teacher'] = teacher
        scores['student'] = validate(args, cfg, runs, 'student')
    table = [describe(args, cfg, runs, name, score) for name, score in scores.items()]
    best = max((row for row in table if row['frames'] == 1), key=lambda row: row['val'])
    best['best'] = True
    publish(model_files(args, runs, best['model'])[1], runs.folder / 'improved.pth')
    runs.notes['table'] = table
    runs.save()
    return table


def common(args: Namespace, runs: StepRuns, name: str) -> list[str]:
    """Options of every training: its folder, and the settings; a search has a length of its own."""
    options = [text for text in args.cfg_options if name != 'search' or not text.startswith('train_cfg.')]
    return ['--work-dir', str(runs.folder / name), *(['--cfg-options', *options] if options else [])]


def augmentation(args: Namespace) -> list[str]:
    """Options of the trainings with augmented images."""
    if 'augmented' in args.skip:
        return []
    return ['--augment', *args.augment, *(['--regularize', *args.regularize] if args.regularize else [])]


def train(args: Namespace, runs: StepRuns, name: str) -> None:
    """Train a model that has no teacher, after the search that it needs."""
    if name == 'plain' and args.checkpoint is not None:
        return
    command = ['train', args.config]
    augment = [] if name == 'plain' else augmentation(args)
    if name == 'das':
        options = ['--frames', str(args.frames), '--fusion', args.fusion]
        budget = ['--budget', args.search_budget] if args.search_budget else []
        search = ['search', args.config, *options, *budget, *common(args, runs, 'search')]
        runs.run('search', TITLES['search'], search, resumes=True)
        command += ['--das', str(runs.folder / 'search' / 'policy.json'), *options]
    runs.run(name, TITLES[name], [*command, *augment, *common(args, runs, name)], resumes=True)


def student_command(args: Namespace, cfg: Config, runs: StepRuns, teacher: str) -> list[str]:
    """The training of the student."""
    from mmdas.apis import host_of

    losses = args.loss or (['kl', 'cwd'] if host_of(cfg).label_maps else ['kl'])
    taught = ['--teacher', *model_files(args, runs, teacher), '--views', str(args.views), '--loss', *losses]
    return ['distill', args.config, *taught, *augmentation(args), *common(args, runs, 'student')]


def model_files(args: Namespace, runs: StepRuns, name: str) -> tuple[str, str]:
    """Config and checkpoint of a model."""
    if name == 'plain' and args.checkpoint is not None:
        return args.config, args.checkpoint
    return runs.config(name), runs.checkpoint(name)


def validate(args: Namespace, cfg: Config, runs: StepRuns, name: str) -> float:
    """Score of a model on the validation set, by which the teacher and the best network are chosen."""
    split = 'test' if same_sets(cfg) else 'val'
    test(args, runs, name, split)
    return main_metric(metric_name(args, cfg), runs.metrics(f'{split}_{name}'))


def same_sets(cfg: Config) -> bool:
    """Whether a config tests on what it validates on, or has no validation."""
    if cfg.get('val_dataloader') is None:
        return True
    return bool(cfg.val_dataloader.dataset == cfg.test_dataloader.dataset)


def test(args: Namespace, runs: StepRuns, name: str, split: str) -> None:
    """Test a model on a split."""
    config, checkpoint = model_files(args, runs, name)
    step = f'{split}_{name}'
    options = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    where = ['--split', split, '--work-dir', str(runs.folder / step), *options]
    runs.run(step, f'{"test" if split == "test" else "validation"} of {name}', ['test', config, checkpoint, *where])


def metric_name(args: Namespace, cfg: Config) -> str:
    """Name of the metric that decides, higher being better."""
    from mmdas.apis import host_of

    return args.metric or host_of(cfg).metric


def main_metric(name: str, metrics: dict[str, float]) -> float:
    """The value of the metric that decides.

    Raises:
        CommandError: if the evaluators do not measure it.
    """
    if name not in metrics:
        found = ', '.join(key for key in metrics if key not in ('time', 'data_time'))
        raise CommandError(
            f'the evaluators measure {found}, and not {name}, by which models are compared; name one of these by '
            '--metric: what is done is not done again'
        )
    return metrics[name]


def describe(args: Namespace, cfg: Config, runs: StepRuns, name: str, score: float) -> dict[str, Any]:
    """A row of the table."""
    test(args, runs, name, 'test')
    metrics = runs.metrics(f'test_{name}')
    parts = {'das': ['search', 'das'], 'student': ['student']}.get(name, [name])
    seconds = sum(runs.notes[part]['seconds'] for part in parts if part in runs.notes)
    needed = seconds
    if name == 'student':
        teacher = runs.notes['student']['teacher']
        before = ['search', 'das'] if teacher == 'das' else [teacher]
        needed += sum(runs.notes[part]['seconds'] for part in before if part in runs.notes)
    batch = int(cfg.test_dataloader.get('batch_size', 1))
    return {
        'model': name,
        'val': round(score, 2),
        'test': round(main_metric(metric_name(args, cfg), metrics), 2),
        'frames': args.frames if name == 'das' else 1,
        'train_seconds': round(seconds),
        'train_seconds_in_all': round(needed),
        'test_milliseconds': round(1e3 * metrics['time'] / batch, 2) if 'time' in metrics else None,
    }


def publish(checkpoint: str, path: Path) -> None:
    """Write the weights of a plain network alone, without what a training needs."""
    from io import BytesIO

    import torch

    from mmdas.engine.checkpoints import read_checkpoint, write_atomically

    content = read_checkpoint(checkpoint)
    weights = content.get('state_dict', content)
    plain = {key: value for key, value in weights.items() if not key.endswith('_extra_state')}
    buffer = BytesIO()
    torch.save({'meta': content.get('meta', {}), 'state_dict': plain}, buffer)
    write_atomically(path, buffer.getvalue())


def print_table(console: Console, rows: list[dict[str, Any]], metric: str, out: Path) -> None:
    """Print the table and what to use."""
    table = Table()
    columns = ('model', f'{metric} val', f'{metric} test', 'T', 'training s', 'in all s', 'test ms/image')
    for column in columns:
        table.add_column(column, justify='left' if column == 'model' else 'right')
    for row in rows:
        keys = ('val', 'test', 'frames', 'train_seconds', 'train_seconds_in_all', 'test_milliseconds')
        table.add_row(row['model'], *('' if row[key] is None else str(row[key]) for key in keys))
    console.print(table)
    best = next(row['model'] for row in rows if row.get('best'))
    console.print(f'The best plain network, {best}: {out / "improved.pth"}', soft_wrap=True, highlight=False)
    console.print(f'All that was measured: {out / NOTES}', soft_wrap=True, highlight=False)
