"""Signals that come while a run is set up or put away."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .parser import TEMPORARY

SIGNALS = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGUSR1') if hasattr(signal, name))


@contextmanager
def heeding_signals(prog: str, how_to_go_on: str) -> Iterator[None]:
    """End at SIGTERM and SIGUSR1 with the exit code for which schedulers start a job again.

    From the first iteration to the last :class:`mmdas.engine.hooks.StopSignalHook` listens in its place. Does nothing
    outside the main thread, which alone may listen.

    Args:
        prog: how the user calls the command.
        how_to_go_on: the command that goes on.
    """

    def end(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        print(f'{prog}: stopped by {name} outside the iterations; go on with: {how_to_go_on}', file=sys.stderr)
        raise SystemExit(TEMPORARY)

    try:
        before = {number: signal.signal(number, end) for number in SIGNALS}
    except ValueError:  # not in the main thread
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
