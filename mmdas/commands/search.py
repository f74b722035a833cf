"""Search a policy, with a search config or with a plain one, which becomes a search."""

from argparse import ArgumentParser, Namespace

from . import train
from .parser import told_in_one_line


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options, which are those of a training."""
    train.add_arguments(parser)


def run(args: Namespace) -> None:
    """Search.

    Raises:
        CommandError: if the user has to change something, or has stopped the run.
    """
    from mmdas.apis import find_config, preprocessor_of, read_config

    with told_in_one_line():
        if args.das not in (None, 'search'):
            raise ValueError(f'--das {args.das}: this command searches; mmdas train takes it')
        plain = preprocessor_of(read_config(find_config(args.config)[0])).get('cell') is None
    args.das = 'search' if plain else args.das
    train.run(args)
