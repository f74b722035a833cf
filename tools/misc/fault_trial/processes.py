"""Processes that run commands, and what they leave."""

import os
import signal
import sys
from pathlib import Path

from mmdas.commands.main import run_command

ROOT = Path(__file__).resolve().parents[3]


def start(arguments: list[str], log: Path, command: str) -> int:
    """Begin a command in a process of its own; its id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with log.open('a') as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        if command == 'data':
            sys.argv = ['digit_scenes.py', *arguments]
            path = ROOT / 'tools' / 'dataset_converters' / 'digit_scenes.py'
            exec(compile(path.read_text(), path, 'exec'), {'__name__': '__main__', '__file__': str(path)})
            code = 0
        else:
            code = run_command(command, arguments, f'mmdas {command}')
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # a command must end in one line
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int) -> int:
    """Exit code of a process."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def is_running(process: int) -> bool:
    """Whether a process has not ended."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def stop(process: int, which: signal.Signals) -> int:
    """Send a signal and wait; the exit code."""
    if is_running(process):
        os.kill(process, which)
    return wait(process)


def resources(process: int) -> tuple[int, int]:
    """Resident memory in pages, and open files, of a process."""
    try:
        pages = int(Path(f'/proc/{process}/statm').read_text().split()[1])
        return pages, len(os.listdir(f'/proc/{process}/fd'))
    except (FileNotFoundError, ProcessLookupError, IndexError):  # it has ended meanwhile
        return 1, 1


def read(path: Path) -> str:
    """Text of a file that may not be there."""
    return path.read_text(errors='replace') if path.exists() else ''


def last_line(text: str) -> str:
    """The last line of an output."""
    return (text.splitlines() or [''])[-1]
