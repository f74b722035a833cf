"""Messages of the toolboxes that come at every start and say nothing of a run.

They are known by their texts, so that no other message is lost.
"""

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO

# Lines that onedl-mmsegmentation and onedl-mmpretrain print when a package of theirs is absent, which only they use.
PRINTED = ('Could not import OneDL',)
PRINTING = ('mmseg', 'mmpretrain')
# How Python warnings begin -> module that gives them.
WARNED = {
    # of operators that have to be compiled, which no type of mmdas needs
    'Fail to import ``MultiScaleDeformableAttention``': 'mmcv.cnn.bricks.transformer',
    # of defaults that the config leaves as they are
    'Default ``avg_non_ignore`` is False': 'mmseg.models.losses.cross_entropy_loss',
    'The draw is False': 'mmseg.engine.hooks.visualization_hook',
}
# How warnings in the log of MMEngine begin: of its own former names, which the toolboxes use, and of a default.
LOGGED = (
    'The prefix is not set in metric class',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias of',
)


def is_noise(record: logging.LogRecord) -> bool:
    """Whether a record of the log is one of those that say nothing."""
    return record.levelno == logging.WARNING and str(record.msg).startswith(LOGGED)


class NoiseFilter(logging.Filter):
    """Lets all records pass but those that say nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not is_noise(record)


def silence_log(logger: logging.Logger) -> None:
    """Keep noise out of a log."""
    if not any(isinstance(other, NoiseFilter) for other in logger.filters):
        logger.addFilter(NoiseFilter())


def silence_warnings() -> None:
    """Keep noise out of Python's warnings, in this process."""
    for text, module in WARNED.items():
        warnings.filterwarnings('ignore', re.escape(text), UserWarning, rf'{re.escape(module)}\Z')


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Import packages of the toolboxes without the lines that say nothing; what else is printed comes at the end."""
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        sys.stdout.writelines(
            line for line in printed.getvalue().splitlines(keepends=True) if line.strip() not in PRINTED
        )


def import_toolbox(scope: str) -> None:
    """Import the data sets of a toolbox that prints such lines, before the registries of MMEngine do it.

    Args:
        scope: of its registries; the name of its package.
    """
    if scope in PRINTING and find_spec(scope) is not None:
        with quiet_imports():
            import_module(f'{scope}.datasets')
