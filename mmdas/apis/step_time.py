"""How long the steps of a run take on this machine, from some of them in a run that leaves nothing behind."""

import copy
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from .runner import build_runner
from .training_length import training_length

UNMEASURED, MEASURED = 2, 6  # steps that warm up, and steps whose time is taken


class _Clock(Hook):
    """Takes the time of some steps and ends the run."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) > UNMEASURED + MEASURED:
            raise _Measured


class _Measured(Exception):
    """Enough steps have been measured."""


def time_steps(cfg: Config) -> tuple[Runner, list[float]]:
    """Take some steps of a training or search, without validation and checkpoints.

    Args:
        cfg: of the run; stays as it is.

    Returns:
        The runner, and the seconds of each step; fewer than 6, or none, where the run has fewer steps.
    """
    trial, clock = copy.deepcopy(cfg), _Clock()
    with tempfile.TemporaryDirectory() as folder, DefaultScope.overwrite_default_scope('mmengine'):
        trial.work_dir, trial.experiment_name = folder, f'budget-{time.time_ns()}'
        trial.log_level = 'WARNING'
        trial.update(val_cfg=None, val_dataloader=None, val_evaluator=None, visualizer=None)
        hooks = trial.get('default_hooks') or {}
        hooks.update(checkpoint=None)
        hooks.pop('visualization', None)
        trial.default_hooks = hooks
        runner = build_runner(trial)
        runner.register_hook(clock, priority='VERY_HIGH')
        with suppress(_Measured):
            runner.train()
    steps = [end - start for start, end in zip(clock.times, clock.times[1:], strict=False)][UNMEASURED:]
    return runner, steps


@dataclass(frozen=True)
class TrainingTime:
    """What a training takes.

    Args:
        unit: seconds of an iteration, or of an epoch where the training counts epochs.
        validation: seconds of a validation.
        measuring: seconds of wall time that finding this out took, without imports.
    """

    unit: float
    validation: float
    measuring: float


def measure_training(cfg: Config) -> TrainingTime:
    """Measure some steps of a training and some batches of its validation.

    Args:
        cfg: of a training with a validation; stays as it is.

    Raises:
        ValueError: if the training has too few iterations to measure.
    """
    start = time.perf_counter()
    unit, _ = training_length(cfg)
    runner, steps = time_steps(cfg)
    if not steps:
        raise ValueError(f'the training has too few iterations to measure, at most {UNMEASURED + 1}')
    step = median(steps) * (len(runner.train_dataloader) if unit == 'epochs' else 1)
    validation = _validation_seconds(cfg, runner)
    return TrainingTime(step, validation, time.perf_counter() - start)


def _validation_seconds(cfg: Config, runner: Runner) -> float:
    """From the median of some batches."""
    scope = cfg.get('default_scope') or 'mmengine'
    runner.model.eval()
    with DefaultScope.overwrite_default_scope(scope), torch.no_grad():
        loader = runner.build_dataloader(copy.deepcopy(cfg.val_dataloader))
        times = [time.perf_counter()]
        for batch in loader:
            runner.model.val_step(batch)
            times.append(time.perf_counter())
            if len(times) > 1 + MEASURED:
                break
    batches = [end - begin for begin, end in zip(times, times[1:], strict=False)]
    return median(batches[1:] or batches) * len(loader)
