"""Parameters and floating-point operations of a model, plain or of DAS; nothing is trained or loaded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from .parser import command_without, told_in_one_line
from .run_options import add_run_arguments, load_run_config

EXAMPLE = 'mmdas analyze flops my_config.py --size 512 1024 --das repeat'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options."""
    add_run_arguments(parser)
    add_own_arguments(parser)


def add_own_arguments(parser: ArgumentParser) -> None:
    """Add what a training does not take."""
    parser.add_argument(
        '--size', nargs=2, type=int, metavar=('H', 'W'), help='of the image (default: that of the training)'
    )


def run(args: Namespace) -> None:
    """Count, and print what was found.

    Raises:
        CommandError: if the user has to change something.
    """
    from mmdas.apis import measure_complexity, training_size

    with told_in_one_line():
        cfg = load_run_config(args)
        size = args.size or training_size(cfg)
        if size is None:
            raise ValueError('the config does not tell the size of its images; give --size H W')
        if min(size) < 1:
            raise ValueError(f'--size {size[0]} {size[1]}: both must be positive')
        found = measure_complexity(cfg, (size[0], size[1]))
    print(f'{found.parameters / 1e6:.3f} M parameters')
    print(f'{found.flops / 1e9:.3f} G multiply-adds for an image of {size[0]} x {size[1]} in {found.frames} frames')
    print(f'next: {command_without(add_own_arguments, args.command[1][1:], "mmdas", "cost")}')
