"""Train a model that also learns from a trained one: a plain model from one of DAS, say.

The student stays what its config says. Its checkpoint is an ordinary one, which the toolbox loads without mmdas. It
costs in a test what it did before.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from . import train
from .parser import told_in_one_line
from .run_options import read_place

if TYPE_CHECKING:
    from mmdas.apis import DistillOptions

LOSSES = ('kl', 'cwd', 'at')
CONVERSION = ('frames', 'fusion', 'pooling', 'part_after')  # of the teacher
STUDENT = (*CONVERSION, 'any_frames', 'sites')
# Beginnings of settings that a test does not read.
TRAINING = ('train_', 'optim_wrapper.', 'param_scheduler', 'default_hooks.', 'custom_hooks', 'resume', 'load_from')
EXAMPLE = 'mmdas distill my_config.py --teacher das-4f-gsf_my_config.py das.pth --loss kl cwd'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options: those of a training, and of the teacher."""
    train.add_arguments(parser)
    group = parser.add_argument_group('the teacher')
    group.add_argument(
        '--teacher',
        nargs=2,
        action='append',
        default=[],
        metavar=('CONFIG', 'CHECKPOINT'),
        help='config and checkpoint of the trained model; given several times, the mean of their logits counts',
    )
    group.add_argument(
        '--online', action='store_true', help="in place of --teacher: the average of the student's own weights"
    )
    group.add_argument(
        '--teacher-das', metavar='WHAT', help='what --das was in its training: repeat, or the file of its policy'
    )
    group.add_argument('--teacher-frames', type=int, help='what --frames was in its training')
    group.add_argument('--teacher-fusion', help='what --fusion was in its training')
    group.add_argument('--teacher-pooling', help='what --pooling was in its training')
    group.add_argument('--teacher-part-after', type=read_place, help='what --part-after was in its training')
    group.add_argument(
        '--output', type=int, metavar='PLACE', help="of the logits, where the student's head returns several tensors"
    )
    group.add_argument('--teacher-output', type=int, metavar='PLACE', help='the same of the teacher')
    group.add_argument('--views', type=int, default=1, help='1, or 2 for an image and its mirror image (%(default)s)')
    group.add_argument(
        '--cache',
        action='store_true',
        help='each teacher sees each image once, as a test sees it; a step then costs a plain one (classification)',
    )
    group.add_argument(
        '--loss',
        nargs='+',
        choices=LOSSES,
        default=['kl'],
        help='kl: over the classes; cwd: over the places, for segmentation; at: where the features are strong (kl)',
    )
    group.add_argument('--temperature', nargs='+', type=float, default=[], help='one, or one a loss (4; at has none)')
    group.add_argument('--weight', nargs='+', type=float, default=[], help='one, or one a loss (kl: 1, cwd: 3, at: 10)')


def run(args: Namespace) -> None:
    """Train the student and say how to use it.

    Raises:
        CommandError: if the user has to change something, or has stopped the run.
    """
    with told_in_one_line():
        args.distillation = read_options(args)
    args.last_line = lambda cfg: f'the student is an ordinary model: {test_command(args, train.last_checkpoint(cfg))}'
    train.run(args)


def read_options(args: Namespace) -> DistillOptions:
    """What the command line says of the teacher.

    Raises:
        ValueError: for an option that does not go with the others.
        FileNotFoundError: if there is no such policy.
    """
    from mmdas.apis import DASOptions, DistillOptions
    from mmdas.search.das import Policy

    given = {key: getattr(args, f'teacher_{key}') for key in CONVERSION}
    given = {key: value for key, value in given.items() if value is not None}
    policy = None if args.teacher_das in (None, 'repeat') else args.teacher_das
    if args.teacher_das is None and given:
        raise ValueError(
            f'--teacher-{next(iter(given)).replace("_", "-")} goes with --teacher-das, which converts a plain config'
        )
    if policy is not None:
        if not Path(policy).is_file():
            raise FileNotFoundError(f'--teacher-das takes repeat or the file of a policy; there is no file {policy}')
        given.setdefault('frames', Policy.load(policy).num_frames)
    return DistillOptions(
        teachers=tuple((config, checkpoint) for config, checkpoint in args.teacher),
        das=None if args.teacher_das is None else 'repeat' if policy is None else 'das',
        options=None if args.teacher_das is None else DASOptions(**given, policy=policy),
        losses=tuple(args.loss),
        temperatures=tuple(args.temperature),
        weights=tuple(args.weight),
        views=args.views,
        cache=args.cache,
        online=args.online,
        output=args.output,
        teacher_output=args.teacher_output,
    )


def test_command(args: Namespace, checkpoint: str | None) -> str:
    """The command that tests the student, with its config and its newest checkpoint."""
    given = {key: getattr(args, key) for key in ('das', 'policy', *STUDENT)}
    options = []
    for key, value in given.items():
        if value is not None:
            values = [] if value is True else value if isinstance(value, list) else [value]
            options += [f'--{key.replace("_", "-")}', *map(str, values)]
    changes = [word for word in words_of(args.command[1], '--cfg-options') if not word.startswith(TRAINING)]
    options += ['--cfg-options', *changes] if changes else []
    return shlex.join(['mmdas', 'test', args.config, checkpoint or 'CHECKPOINT', *options])


def words_of(arguments: Sequence[str], option: str) -> list[str]:
    """The words of an option of a command line."""
    if option not in arguments:
        return []
    start = list(arguments).index(option)
    return list(takewhile(lambda word: not word.startswith('--'), arguments[start + 1 :]))
