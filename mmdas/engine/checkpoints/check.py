"""Whether a file is a whole checkpoint, and plain data.

A checkpoint is a zip archive whose records carry check sums (CRC-32), which PyTorch writes and does not compare. What
is more than tensors, numbers, texts and lists of them could run code when it is loaded: it is refused. Beside the types
that PyTorch's weights-only loading allows stand numpy's arrays and MMEngine's histories of the log, which the
toolboxes put into their checkpoints.
"""

import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleParamScheduler

# PyTorch loads nothing but weights in a process with this variable, whatever the caller says.
WEIGHTS_ONLY = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
TRUST = '--trust-checkpoint (in Python mmdas.engine.checkpoints.trust_checkpoints())'
_trust = False


class CheckpointError(ValueError):
    """A checkpoint that is damaged, no checkpoint, or more than data."""


def trust_checkpoints(trust: bool = True) -> None:
    """Let checkpoints of this process hold what they want, because their source is known.

    Args:
        trust: False takes it back, the state at the beginning.
    """
    global _trust
    _trust = trust
    if trust:
        os.environ.pop(WEIGHTS_ONLY, None)


def forbid_code() -> None:
    """Let PyTorch load nothing but data in this process, from wherever a checkpoint comes.

    For programs that are one run from beginning to end, as the commands are. Without effect after
    :func:`trust_checkpoints`.
    """
    if not _trust:
        os.environ[WEIGHTS_ONLY] = '1'
        torch.serialization.add_safe_globals(allowed_types())


def read_checkpoint(path: str | Path) -> Any:
    """The content of a checkpoint that is whole, and plain data unless :func:`trust_checkpoints` was called.

    Args:
        path: of a local file.

    Returns:
        What it holds, tensors on the CPU, in the file until they are used.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: naming the file and what is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty; take an earlier checkpoint')
    archive = zipfile.is_zipfile(path)
    if archive:
        damaged = _damaged_record(path)
        if damaged is not None:
            raise CheckpointError(
                f'{path} is damaged: its record {damaged} has another check sum than when it was written; take an '
                'earlier checkpoint or another copy'
            )
    try:
        with _allowing([] if _trust else allowed_types()):
            return torch.load(path, map_location='cpu', weights_only=not _trust, mmap=archive)
    except pickle.UnpicklingError as error:
        if archive or _is_pickle(path):
            raise CheckpointError(
                f'{path} holds more than data{_forbidden_name(error)}, and loading it could run code; if you trust its '
                f'source, give {TRUST}'
            ) from error
        raise CheckpointError(_no_checkpoint(path, error)) from error
    except Exception as error:  # bytes that are no pickle make it stumble in any way
        raise CheckpointError(_no_checkpoint(path, error)) from error


@contextmanager
def _allowing(types: list) -> Iterator[None]:
    """Allow types for some time. PyTorch's own context also takes back, at its end, those that were allowed before."""
    before = torch.serialization.get_safe_globals()
    try:
        with torch.serialization.safe_globals(types):
            yield
    finally:
        torch.serialization.add_safe_globals(before)


def _no_checkpoint(path: Path, error: Exception) -> str:
    return f'{path} is no checkpoint, or only a part of one ({_first_line(error)}); take an earlier one'


def allowed_types() -> list:
    """What a checkpoint may hold beside PyTorch's own list."""
    core = np._core if hasattr(np, '_core') else np.core
    kinds = (np.bool_, np.int32, np.int64, np.uint8, np.uint32, np.float32, np.float64, np.str_)
    functions = [core.multiarray._reconstruct, core.multiarray.scalar]
    # numpy 1 and 2 name the place of these functions in two ways, and files of both are about
    names = [
        (function, f'numpy.{place}.multiarray.{function.__name__}')
        for function in functions
        for place in ('core', '_core')
    ]
    return [
        *names,
        *(type(np.dtype(kind)) for kind in kinds),
        np.ndarray,
        np.dtype,
        HistoryBuffer,
        OneCycleParamScheduler,
        (_known_attribute, 'builtins.getattr'),
    ]


def _known_attribute(owner: type, name: str) -> Any:
    """Attributes that stand in states of MMEngine: statistics of a history, and how one cycle anneals; no others."""
    known = {
        HistoryBuffer: ('min', 'max', 'current', 'mean'),
        OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
    }
    if name not in known.get(owner, ()):
        raise pickle.UnpicklingError(f'attribute {name} of {owner!r}')
    return getattr(owner, name)


def _damaged_record(path: Path) -> str | None:
    """Name of the first record of an archive that is not as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise CheckpointError(f'{path} is damaged ({_first_line(error)}); take an earlier checkpoint') from error


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does, PyTorch's format before archives."""
    with path.open('rb') as stream:
        return stream.read(2) in (b'\x80\x02', b'\x80\x03', b'\x80\x04', b'\x80\x05')


def explain(error: pickle.UnpicklingError) -> str:
    """What to do about a checkpoint that PyTorch refuses to load."""
    return (
        f'a checkpoint that the run loads holds more than data{_forbidden_name(error)}, and loading it could run '
        f'code; if you trust its source, give {TRUST}'
    )


def _forbidden_name(error: Exception) -> str:
    name = re.search(r'GLOBAL (\S+)', str(error))
    return f' ({name[1]})' if name else ''


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
