"""Processes that run a step of a demo or a comparison, and begin with all imports done."""

from __future__ import annotations

import os
import random
import runpy
import sys
from io import TextIOWrapper
from multiprocessing import get_all_start_methods, get_context, set_start_method
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import ForkServerContext, SpawnContext

IMPORTS = 'mmdas.commands.step_imports'


def fast_context(imports: Sequence[str] = (IMPORTS,)) -> ForkServerContext | SpawnContext:
    """Where the system can fork, processes that begin with all imports done; elsewhere new ones.

    Args:
        imports: modules that the server of the processes has imported.
    """
    if 'forkserver' not in get_all_start_methods():
        return get_context('spawn')
    context = get_context('forkserver')
    context.set_forkserver_preload(list(imports))
    return context


def can_serve() -> bool:
    """Whether steps may be copies of a server: on Linux without a GPU, whose driver takes no copies of a process."""
    from mmengine.device import get_device

    return sys.platform == 'linux' and get_device() == 'cpu'


class ServedProcess:
    """A command of mmdas in a copy of the server, as of :class:`subprocess.Popen`.

    Args:
        command: what stands after ``mmdas``.
        log: file for all that it prints.
        imports: see :func:`fast_context`.
    """

    def __init__(self, command: Sequence[str], log: Path, imports: Sequence[str] = (IMPORTS,)) -> None:
        self.process = fast_context(imports).Process(target=run_command, args=(list(command), log))
        self.process.start()

    def poll(self) -> int | None:
        """Exit code; that of a signal is negative. None while it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)

    def wait(self) -> int | None:
        """Wait for the end; the exit code."""
        self.process.join()
        return self.process.exitcode


def run_command(command: Sequence[str], log: Path) -> NoReturn:
    """Run a command of mmdas in this process, with all that it prints in a file."""
    print_to(log)
    draw_anew()
    sys.argv = ['mmdas', *command]
    from mmdas.commands import main

    sys.exit(main(command))


def draw_anew() -> None:
    """Seed the generators that the seed of a run is drawn from: copies of a server would all draw the same."""
    import numpy as np

    random.seed()
    np.random.seed()


def run_script(script: Path, options: Sequence[str], folder: Path, log: Path) -> None:
    """Run a script of Python in this process, in a folder, with all that it prints in a file."""
    print_to(log)
    os.chdir(folder)
    sys.argv = [str(script), *options]
    runpy.run_path(str(script), run_name='__main__')


def environment(processes: int = 1) -> dict[str, str]:
    """Environment of the steps: this one, in which Python finds the same mmdas; several share the cores."""
    paths = [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')]
    threads = {'OMP_NUM_THREADS': str(max((os.cpu_count() or 1) // processes, 1))} if processes > 1 else {}
    return {**threads, **os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}


def newest(run: Path | None) -> str | None:
    """Path of the newest checkpoint of a run; None where it has none that can be read."""
    if run is None or not run.is_dir():
        return None
    from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint

    try:
        found = newest_checkpoint(run)
    except CheckpointError:
        return None
    return None if found is None else str(found[0])


def has_checkpoint(run: Path | None) -> bool:
    """Whether a run has a checkpoint; where it cannot be read, the run says what is wrong with it."""
    if run is None or not run.is_dir():
        return False
    from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint

    try:
        return newest_checkpoint(run) is not None
    except CheckpointError:
        return True


def print_to(log: Path, append: bool = False) -> None:
    """Let this process print to a file, and choose itself how it starts others."""
    with log.open('a' if append else 'w', encoding='utf-8') as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    sys.stdout = TextIOWrapper(sys.stdout.buffer, encoding='utf-8', errors='replace', line_buffering=True)
    set_start_method(None, force=True)
