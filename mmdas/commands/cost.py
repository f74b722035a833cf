"""Say how long a training takes on this machine, from some of its steps; nothing is trained or kept."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from . import train
from .parser import command_without, told_in_one_line
from .run_options import refuse_search

EXAMPLE = 'mmdas cost my_config.py --das repeat --frames 4'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options, which are those of the training."""
    train.add_arguments(parser)
    add_own_arguments(parser)


def add_own_arguments(parser: ArgumentParser) -> None:
    """Add what a training does not take."""
    parser.add_argument('--out', metavar='FILE.json', help='file for the seconds')


def run(args: Namespace) -> None:
    """Measure, and print what was found.

    Raises:
        CommandError: if the user has to change something.
    """
    from mmdas.apis import measure_training, training_length

    with told_in_one_line():
        refuse_search(args)
        cfg = train.read(args)
        if cfg.get('val_dataloader') is None:
            raise ValueError(f'{args.config} has no val_dataloader, whose time is measured, too')
        unit, length = training_length(cfg)
        found = measure_training(cfg)
    seconds = length * found.unit
    one = 'an epoch' if unit == 'epochs' else 'an iteration'
    print(f'{found.unit:.3g} s for {one}, {found.validation:.3g} s for a validation')
    print(f'the training of {length} {unit} takes {seconds:.0f} s, without start and validations')
    if args.out is not None:
        content = {'unit': found.unit, 'validation': found.validation, 'measuring': found.measuring}
        Path(args.out).write_text(json.dumps(content) + '\n')
    print(f'next: {command_without(add_own_arguments, args.command[1], "mmdas", "train")}')
