"""Checkpoints as plain data: MMEngine puts objects of its log into them."""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

HISTORY = 'mmengine.HistoryBuffer'


def as_plain_data(value: Any) -> Any:
    """The same content of tensors, numbers, texts, and lists, tuples and dicts of them.

    Histories of the log become dicts that :func:`as_written` knows, arrays become lists, paths texts. What is of
    another type stays: loading it will be refused with its name.
    """
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        kept = {name: torch.from_numpy(np.array(part)) for name, part in (('log', log), ('count', count))}
        return {'type': HISTORY, **kept, 'max_length': value.max_length}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return _with_entries(value, as_plain_data)
    if isinstance(value, list) or type(value) is tuple:
        return type(value)(as_plain_data(entry) for entry in value)
    return value


def without_methods(value: Any) -> Any:
    """States of parameter schedulers without their methods, which those of the new run have themselves.

    MMEngine's OneCycleLR keeps the function of its curve as an attribute, and so in its state.
    """
    if isinstance(value, dict):
        return {key: without_methods(entry) for key, entry in value.items() if not callable(entry)}
    return [without_methods(entry) for entry in value] if isinstance(value, list) else value


def as_written(value: Any) -> Any:
    """Inverse of :func:`as_plain_data` for the histories of the log."""
    if isinstance(value, dict) and value.get('type') == HISTORY:
        return HistoryBuffer(value['log'].tolist(), value['count'].tolist(), value['max_length'])
    if isinstance(value, dict):
        return _with_entries(value, as_written)
    return value


def _with_entries(value: dict, change: Callable[[Any], Any]) -> dict:
    """A dict of the same kind, such as a Counter, with other entries."""
    result = copy(value)
    for key, entry in value.items():
        result[key] = change(entry)
    return result
