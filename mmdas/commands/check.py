"""Say what is wrong with the environment, and the command that mends it."""

import runpy
from argparse import ArgumentParser, Namespace
from pathlib import Path

# A script of its own, for environments in which mmdas cannot be imported.
SCRIPT = Path(__file__).parents[1] / '.mim' / 'tools' / 'check_env.py'
EXAMPLE = 'mmdas check'


def add_arguments(parser: ArgumentParser) -> None:
    """The command has no options."""


def run(args: Namespace) -> int:
    """Run all checks; the exit code."""
    return runpy.run_path(str(SCRIPT), run_name='check_env')['main']([])
