"""Helpers that the parts of the engine share."""

from itertools import count
from pathlib import Path
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

from mmdas.hosts import Host, all_hosts, find_host
from mmdas.search import Searchable

PICTURES = ('.png', '_mixtures.png', '_course.png')  # ends of the names of what is drawn beside a policy


def unwrap(model: nn.Module) -> Any:
    """The model itself, without a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def main_head(model: nn.Module) -> tuple[Host, Any]:
    """Host of a model, and the head that predicts, the last of a cascade; ``None`` for a model without one."""
    host = next((host for host in all_hosts() if hasattr(model, host.heads[0])), find_host(None))
    head = getattr(model, host.heads[0], None)
    return host, head[-1] if isinstance(head, nn.ModuleList) else head


def find_searchable(model: nn.Module) -> Searchable:
    """The part of a model that a search trains on the held-out batches.

    Raises:
        ValueError: if there is none or more than one.
    """
    found = [module for module in unwrap(model).modules() if isinstance(module, Searchable)]
    if not found:
        raise ValueError(
            'a search needs model.data_preprocessor of type mmdas.DASSegDataPreProcessor or '
            "mmdas.DASClsDataPreprocessor with cell=dict(type='mmdas.DASCell', ...), or another mmdas.search.Searchable"
        )
    if len(found) > 1:
        names = ', '.join(type(module).__name__ for module in found)
        raise ValueError(f'a search trains one policy, but the model has {len(found)} to search: {names}; leave one')
    return found[0]


def set_aside(path: Path) -> Path | None:
    """Give a policy file, and the pictures beside it, another name, so that a new one may take its place.

    Args:
        path: of the policy, such as ``policy.json``.

    Returns:
        The new name of the earlier policy, such as ``policy_1.json``; None if there was none.
    """
    if not path.exists():
        return None
    name, suffix = path.stem, path.suffix
    number = next(number for number in count(1) if not path.with_name(f'{name}_{number}{suffix}').exists())
    for ending in (suffix, *PICTURES):
        file = path.with_name(f'{name}{ending}')
        if file.exists():
            file.replace(path.with_name(f'{name}_{number}{ending}'))
    return path.with_name(f'{name}_{number}{suffix}')
