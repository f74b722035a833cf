"""What a run was set to, as plain data for its checkpoints."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import cv2
import mmcv
import mmengine
import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmdas.registry import type_name

# Key of the record in a checkpoint. A record is read with `get`: other releases know other settings.
KEY = 'run_record'
PLAIN = (bool, int, float, str)
# What computes the images and the steps of a training.
RELEASES = {module.__name__: str(module.__version__) for module in (torch, np, cv2, mmengine, mmcv)}


def describe_run(runner: Runner) -> dict[str, Any]:
    """The settings that decide how a run goes on: of its data, its length, its optimisers and its search.

    Args:
        runner: in training.
    """
    loop: Any = runner.train_loop
    return {
        'releases': dict(RELEASES),
        'processes': get_world_size(),
        'batch_size': loop.dataloader.batch_size,
        'samples': len(loop.dataloader.dataset),
        **({'search': describe_search(loop)} if hasattr(loop, 'schedule') else dict(_lengths(loop))),
        'optimizers': {name: type(part.optimizer).__name__ for name, part in _wrappers(runner)},
        'options': {
            f'{name}.{key}'.lstrip('.'): value
            for name, part in _wrappers(runner)
            for key, value in part.optimizer.defaults.items()
            if isinstance(value, PLAIN)
        },
        'schedulers': [type(scheduler).__name__ for scheduler in _schedulers(runner)],
        'augments': [describe_step(step) for step in augment_steps(runner.cfg)],
        'regularizers': [hook.regularizer for hook in runner.hooks if hasattr(hook, 'regularizer')],
    }


def augment_steps(cfg: Mapping) -> list[Any]:
    """Configs of the steps on batches of a training."""
    inner = (cfg.get('model') or {}).get('data_preprocessor')
    return list((inner or cfg.get('data_preprocessor') or {}).get('augments') or [])


def describe_step(step: Any) -> str:
    """A step and its options; a policy and the number of classes, which others compare, are left out."""
    if not isinstance(step, Mapping):
        return type(step).__name__
    said = {key: value for key, value in step.items() if key not in ('type', 'policy', 'num_classes')}
    inner = step.get('policy')
    if isinstance(inner, Mapping) and 'type' in inner:  # a step that one keeps the image from
        said['policy'] = describe_step(inner)
    return f'{type_name(step)}({", ".join(f"{key}={value}" for key, value in said.items())})'


def describe_search(loop: Any) -> dict[str, Any]:
    """The settings of a search: its phases, and the space of a cell."""
    searchable = loop.searchable
    return {
        **{name: getattr(loop, name) for name in ('warmup', 'length')},
        'phases': phases(loop.plan.rounds),
        'policy_interval': loop.plan.policy_interval,
        'policy_batch_size': loop.policy_batches.dataloader.batch_size,
        'policy_samples': len(loop.policy_batches.dataloader.dataset),
        'operations': list(getattr(searchable, 'operation_names', ())),
        'num_nodes': getattr(searchable, 'num_nodes', None),
    }


def phases(rounds: list) -> list[list]:
    """``[phase, iterations]`` of the rounds of a search, with neighbours of one phase in one."""
    return [
        [phase, sum(entry.length for entry in group)] for phase, group in groupby(rounds, lambda entry: entry.phase)
    ]


def first(record: list[list], iterations: int) -> list[list]:
    """The phases of the first iterations."""
    found = []
    for phase, length in record:
        if iterations > 0:
            found.append([phase, min(length, iterations)])
        iterations -= length
    return found


def _lengths(loop: Any) -> Iterator[tuple[str, int]]:
    yield ('max_epochs', loop.max_epochs) if isinstance(loop, EpochBasedTrainLoop) else ('max_iters', loop.max_iters)


def _wrappers(runner: Runner) -> Iterator[tuple[str, OptimWrapper]]:
    wrapper: Any = runner.optim_wrapper
    yield from wrapper.items() if isinstance(wrapper, OptimWrapperDict) else [('', wrapper)]


def _schedulers(runner: Runner) -> list:
    found: Any = runner.param_schedulers or []
    return [one for group in found.values() for one in group] if isinstance(found, Mapping) else list(found)
