"""A process that runs a step of the demo."""

from __future__ import annotations

import os
import runpy
import sys
from io import TextIOWrapper
from multiprocessing import get_all_start_methods, get_context, set_start_method
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import ForkServerContext, SpawnContext


def fast_context() -> ForkServerContext | SpawnContext:
    """Where the system can fork, processes that begin with all imports done; elsewhere new ones."""
    if 'forkserver' not in get_all_start_methods():
        return get_context('spawn')
    context = get_context('forkserver')
    context.set_forkserver_preload(['mmdas.commands.step_imports'])
    return context


def run_script(script: Path, options: Sequence[str], folder: Path, log: Path) -> None:
    """Run a script of Python in this process, in a folder, with all that it prints in a file."""
    with log.open('w', encoding='utf-8') as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    sys.stdout = TextIOWrapper(sys.stdout.buffer, encoding='utf-8', errors='replace', line_buffering=True)
    set_start_method(None, force=True)  # that of this process is its own choice
    os.chdir(folder)
    sys.argv = [str(script), *options]
    runpy.run_path(str(script), run_name='__main__')
