"""Train a model or search a policy, as the config says."""

import re
import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mmengine.config import Config

from .early_signals import heeding_signals
from .parser import FAILED, STOPPED, CommandError, told_in_one_line
from .run_options import add_run_arguments, load_run_config, refusing_code, saved_config

FIXED = ('randaugment', 'trivialaugment', 'autoaugment', 'uniform')  # policies that nothing is searched for
STEPS = ('cutout', 'cutmix', 'mixup', 'puzzle-mix', 'hide-and-seek', 'keep-cutout', 'keep-erasing', 'keep-cutmix')
REGULARIZERS = ('label-smoothing', 'dropblock', 'adl', 'mixstyle')
EXAMPLE = 'mmdas train my_config.py --das repeat --amp'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a path from the newest in the work dir',
    )
    parser.add_argument(
        '--augment',
        nargs='+',
        metavar='WHAT',
        help='what the batches of the training get, one after the other: files of augmentation policies, '
        + ', '.join((*FIXED, *STEPS))
        + ', and keep- before a policy',
    )
    parser.add_argument(
        '--regularize',
        nargs='+',
        metavar='WORD',
        help='of ' + ', '.join(REGULARIZERS) + ': what keeps the network from learning the training images by heart',
    )
    parser.add_argument(
        '--self-distill',
        action='store_true',
        help='fewer frames, down to the image alone, learn from all; with --das POLICY.json --any-frames',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (needs a GPU)')


def run(args: Namespace) -> None:
    """Train, or search.

    Raises:
        CommandError: if the user has to change something, or has stopped the run.
        SystemExit: after a signal before the first iteration or after the last.
    """
    with heeding_signals(args.command[0], resume_command(*args.command)):
        train(args)


def train(args: Namespace) -> None:
    """The same, where signals are heeded."""
    with told_in_one_line():
        cfg = read(args)
    from mmdas.apis import build_runner, end_processes, explain_lost_process, warn_of_slips
    from mmdas.augment import AugmentError
    from mmdas.engine.checkpoints import CheckpointError, FolderInUseError, WriteError
    from mmdas.engine.data_error import DataError
    from mmdas.engine.finite import NotFiniteError
    from mmdas.engine.hooks import RunStopped
    from mmdas.engine.search_error import SearchError
    from mmdas.models.backbones.parting import PartingError
    from mmdas.models.data_preprocessors import PixelError
    from mmdas.models.distillation import DistillationError
    from mmdas.models.features import FeatureError
    from mmdas.models.settings import DifferenceError
    from mmdas.search import PolicyError

    given = DataError, DifferenceError, CheckpointError, FileNotFoundError, PixelError, PolicyError, DistillationError
    found = AugmentError, FeatureError, NotFiniteError, FolderInUseError, WriteError, PartingError, SearchError
    try:
        with told_in_one_line(*given, *found), refusing_code():
            put_back = saved_config(cfg)
            try:
                runner = build_runner(cfg)
                warn_of_slips(cfg, getattr(runner, 'model', None))  # runners of a user's own may have none
                runner.train()
            except (DifferenceError, FolderInUseError):  # refused before the first step
                put_back()
                raise
    except RunStopped as stopped:
        end_processes()
        raise CommandError(
            f'{stopped.text}; go on with: {resume_command(*args.command)}', stopped.exit_code
        ) from stopped
    except RuntimeError as error:
        if 'stack expects each tensor to be equal size' in str(error):
            raise CommandError(unequal_sizes(str(error))) from error
        lost = explain_lost_process(error, cfg) if args.launcher != 'none' else None
        if lost is None:
            raise
        raise CommandError(lost, code=FAILED) from error
    except KeyboardInterrupt as error:
        raise CommandError(how_to_go_on(cfg, *args.command), code=STOPPED) from error
    from mmengine.dist import is_main_process

    if is_main_process():
        line = getattr(args, 'last_line', None)  # of a command that trains and says more
        print(f'next: {next_command(cfg)}' if line is None else line(cfg))
    end_processes()


def next_command(cfg: Config) -> str:
    """What to try after a run, with the config that it has left in its work directory."""
    from mmdas.apis import is_search, preprocessor_of

    kept, clips = Path(cfg.work_dir, Path(cfg.filename or '').name), preprocessor_of(cfg).get('cell') is not None
    if is_search(cfg) and clips:
        return shlex.join(['mmdas', 'browse', str(kept), '--policy', f'{cfg.work_dir}/policy.json'])
    checkpoint = None if is_search(cfg) or cfg.get('test_dataloader') is None else last_checkpoint(cfg)
    if checkpoint is None or not kept.is_file():
        return shlex.join(['mmdas', 'report', cfg.work_dir])
    return shlex.join(['mmdas', 'test', str(kept), checkpoint])


def last_checkpoint(cfg: Config) -> str | None:
    """The newest checkpoint of a run; None where there is none that can be read."""
    from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint

    try:
        found = newest_checkpoint(cfg.work_dir, (cfg.get('default_hooks') or {}).get('checkpoint'))
    except CheckpointError:
        return None
    return None if found is None else str(found[0])


def unequal_sizes(text: str) -> str:
    """What to do where the images of a batch could not become one tensor."""
    return (
        f'the images of a batch have several sizes ({text}): train_dataloader.dataset.pipeline has to bring all to '
        "one, such as by dict(type='Resize', scale=(W, H)) or, in a segmentation, dict(type='RandomCrop', "
        'crop_size=(H, W)) with data_preprocessor.size=(H, W), which pads what is smaller'
    )


def read(args: Namespace) -> Config:
    """The config of the run, checked.

    Raises:
        ValueError, FileNotFoundError: as the message says.
    """
    from mmdas.apis import (
        check_kept_policy,
        check_precision,
        check_run,
        check_work_dir,
        enable_amp,
        fit_to_budget,
        require_checkpoint,
        set_augment,
        set_distillation,
        set_fast,
        set_regularizers,
        set_resume,
        set_self_distillation,
        short_search,
        take_up_earlier,
    )

    own_folder = args.work_dir is None
    cfg = load_run_config(args)
    if args.augment is not None:
        set_augment(cfg, args.augment, own_folder=own_folder)
    if args.regularize is not None:
        set_regularizers(cfg, args.regularize, own_folder=own_folder)
    if getattr(args, 'distillation', None) is not None:
        set_distillation(cfg, args.distillation, own_folder=own_folder)
    if getattr(args, 'self_distill', False):
        set_self_distillation(cfg, own_folder=own_folder)
    if getattr(args, 'fast', False):
        if args.das is None:  # else the conversion has done it
            set_fast(cfg, own_folder=own_folder)
        if own_folder and args.resume is not None:
            take_up_earlier(cfg)
    if getattr(args, 'budget', None) is not None:
        fit_to_budget(cfg, seconds_of(args.budget), resumed=args.resume is not None)
    args.work_dir = cfg.work_dir
    check_work_dir(cfg.work_dir)
    if args.resume is None and cfg.get('load_from'):
        require_checkpoint(cfg.load_from)
    if args.resume is None and own_folder and (args.das or args.policy or args.augment):
        check_kept_policy(cfg)
    set_resume(cfg, args.resume)
    if args.amp:
        with told_in_one_line(RuntimeError, ValueError):
            enable_amp(cfg)
    check_precision(cfg)
    check_run(cfg)
    message = short_search(cfg)
    if message:
        print(f'note: {message}')
    return cfg


def seconds_of(text: str, option: str = '') -> float:
    """Seconds of a time such as ``90s``, ``30m``, ``2h`` or ``1d``; a number alone counts seconds.

    Args:
        text: the time.
        option: as the user gave it, for the message. Default: ``--budget TEXT``.

    Raises:
        ValueError: for another text, or no time at all.
    """
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([smhd]?)', text.strip().lower())
    seconds = float(match[1]) * {'': 1, 's': 1, 'm': 60, 'h': 3600, 'd': 86400}[match[2]] if match else 0.0
    if not seconds:
        raise ValueError(f'{option or f"--budget {text}"}: give a time such as 90s, 30m, 2h or 1d')
    return seconds


def how_to_go_on(cfg: Config, prog: str, arguments: list[str]) -> str:
    """What to do after a stop."""
    from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint

    try:
        found = newest_checkpoint(cfg.work_dir, (cfg.get('default_hooks') or {}).get('checkpoint'))
    except CheckpointError as error:
        return f'stopped; {error}'
    if found is None:
        return f'stopped before the first checkpoint in {cfg.work_dir}; start again'
    return f'stopped; the newest checkpoint is {found[0]}; go on with: {resume_command(prog, arguments)}'


def resume_command(prog: str, arguments: list[str]) -> str:
    """The command that goes on from the newest checkpoint."""
    return f'{prog} {shlex.join([*without_resume(arguments), "--resume"])}'


def without_resume(arguments: list[str]) -> list[str]:
    """The arguments without ``--resume`` and its checkpoint: the newest one is to be resumed."""
    left, skip = [], False
    for argument in arguments:
        if skip and not argument.startswith('-'):
            skip = False
            continue
        skip = argument == '--resume'
        if not skip and not argument.startswith('--resume='):
            left.append(argument)
    return left
