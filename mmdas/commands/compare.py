"""Compare augmentations and other methods on your config, within a budget of time, and say which to use.

A part of the training set is held out and chooses. All methods are trained for a short time, the best of them longer
(successive halving), the finalists with several seeds. Plain is always in the final. The test set is used once, for the
winner and plain. The same command goes on after a stop, and does nothing twice.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .compare_budget import check_unit, read_budget
from .compare_methods import PLAIN, Method, check_methods, read_methods
from .compare_table import print_result
from .parser import CommandError, told_in_one_line
from .run_options import settings_of
from .step_jobs import JobQueue
from .step_log import Report
from .step_process import can_serve
from .step_runs import StepRuns

if TYPE_CHECKING:
    from mmengine.config import Config

NOTES = 'compare.json'
BASE = 'comparison.py'  # the config of all trainings, at its own length
METHODS = 'plain,randaugment,trivialaugment,uniform'
KEPT = ('methods', 'budget', 'seeds', 'seed', 'finalists', 'holdout', 'amp', 'cfg_options')  # that must not change
EXAMPLE = 'mmdas compare my_config.py --methods plain,randaugment,das --budget 2h'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='plain config: a file, or the name of an installed one')
    parser.add_argument(
        '--methods',
        default=METHODS,
        help='with commas between them: words or policy files of --augment, of --regularize, das, ddas, dada, '
        'faster-aa; joined by + they act together (%(default)s)',
    )
    parser.add_argument(
        '--budget',
        metavar='TIME',
        help='wall time of all of it, such as 2h, or the length of all trainings together, such as 20000iters or '
        '30epochs, which a busy machine does not change (default: a third of what all methods take at full length '
        'with all seeds, by the time of some steps)',
    )
    parser.add_argument('--seeds', type=int, default=2, help='trainings of each finalist (%(default)s)')
    parser.add_argument('--finalists', type=int, default=2, help='methods in the final beside plain (%(default)s)')
    parser.add_argument('--holdout', type=float, default=0.2, help='part of the training that chooses (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='first seed, also that of the split (%(default)s)')
    parser.add_argument('--out', help='folder for all steps (default: work_dirs/NAME_compared)')
    parser.add_argument('--processes', type=int, default=1, help='trainings at a time (%(default)s)')
    parser.add_argument(
        '--slurm',
        nargs='+',
        metavar='KEY=VALUE',
        help='each step is a job of Slurm with these settings, such as partition=gpu time=4h gpus=1 (needs submitit); '
        '--processes is the number of jobs at a time',
    )
    parser.add_argument(
        '--retry-failed',
        action='store_true',
        help='try the steps again that failed when this command was last given, also after its budget has ended',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (needs a GPU)')
    parser.add_argument(
        '--cfg-options', nargs='+', metavar='KEY=VALUE', default=[], help='settings of the config for all trainings'
    )


def run(args: Namespace) -> None:
    """Run all steps that are not done, and show what they brought.

    Raises:
        CommandError: if the user has to change something, a step fails, or it is stopped.
    """
    with told_in_one_line():
        cfg, methods = read(args)
    from .compare_steps import Comparison

    out, console = Path(args.out or f'{cfg.work_dir}_compared'), Console()
    out.mkdir(parents=True, exist_ok=True)
    console.print(f'Everything goes to {out}; the logs are *.log there.', soft_wrap=True, highlight=False)
    with told_in_one_line(ImportError, ValueError):
        jobs = None if args.slurm is None else JobQueue(out, args.slurm)
    runs = StepRuns(out, Report(console), NOTES, args.processes, '' if jobs else served_toolbox(cfg), jobs)
    keep_options(runs, args)
    keep_config(cfg, out / BASE)
    if args.retry_failed and runs.forget_failures():
        runs.notes.pop('comparison', None)  # it is of the methods that were left
    comparison = Comparison(cfg, methods, runs, options_of_steps(args))
    with runs.report.progress:
        result = comparison.run()
    print_result(console, result)
    page = write_page(out)
    best = next(method for method in methods if method.name == result['winner'])
    console.print(f'The report: {page}; all that was measured: {out / NOTES}', soft_wrap=True, highlight=False)
    console.print(f'Train with it: {train_command(args, best, comparison)}', soft_wrap=True, highlight=False)


def served_toolbox(cfg: Config) -> str:
    """The toolbox whose imports the steps share; empty where each imports for itself."""
    from mmdas.apis import host_of

    return host_of(cfg).scope if can_serve() else ''


def read(args: Namespace) -> tuple[Config, list[Method]]:
    """The config with its split, and the methods, checked.

    Raises:
        ValueError, FileNotFoundError: as the message says.
    """
    from mmdas.apis import hold_out_validation, is_search, load_config, preprocessor_of, training_length

    for name in ('seeds', 'finalists', 'processes'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} is {getattr(args, name)}, expected 1 or more')
    budget = None if args.budget is None else read_budget(args.budget)
    cfg = load_config(args.config, cfg_options=settings_of(args.cfg_options))
    if budget is not None:
        check_unit(budget, training_length(cfg)[0])
    if is_search(cfg) or 'num_frames' in preprocessor_of(cfg):
        raise ValueError(f'{args.config} is a config of DAS or of a search; give the plain one that it came from')
    methods = read_methods(args.methods)
    check_methods(cfg, methods)
    hold_out_validation(cfg, args.holdout, args.seed)
    return cfg, methods


def options_of_steps(args: Namespace) -> dict[str, Any]:
    """What the steps need of the options."""
    budget = None if args.budget is None else read_budget(args.budget)
    kept = {name: getattr(args, name) for name in ('seeds', 'seed', 'finalists', 'amp')}
    return {'budget': budget, 'retry': args.retry_failed, **kept}


def keep_options(runs: StepRuns, args: Namespace) -> None:
    """Note the options of a comparison, and refuse others where it has begun.

    Raises:
        CommandError: naming the option.
    """
    given = {name: getattr(args, name) for name in KEPT}
    for name, before in runs.notes.setdefault('options', given).items():
        if given[name] != before:
            option = f'--{name.replace("_", "-")}'
            raise CommandError(
                f'{runs.folder} has a comparison with {option} {before}, and this one has {given[name]}; give another '
                'folder by --out, or the options of then'
            )


def keep_config(cfg: Config, path: Path) -> None:
    """Write the config of a comparison, and refuse another one where it has begun.

    Raises:
        CommandError: if there is another one.
    """
    text = cfg.pretty_text
    if not path.is_file():
        path.write_text(text)
    elif path.read_text() != text:
        raise CommandError(f'{path} is of a comparison with another config; give another folder by --out')


def write_page(out: Path) -> Path:
    """Write the report of a comparison."""
    from mmdas.visualization.report import write_report

    return write_report([out], out / 'report.html')


def train_command(args: Namespace, best: Method, comparison: Any) -> str:
    """The command of the training that is recommended: of the whole training set, at full length, as compared."""
    options = best.options(comparison.policy(best))
    settings = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    return shlex.join(['mmdas', 'train', args.config, *options, *(['--amp'] if args.amp else []), *settings])


__all__ = ['PLAIN', 'add_arguments', 'run']
