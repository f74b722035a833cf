"""A hook that keeps the curve of a training: score, images, frames and seconds at some iterations."""

import math
import time
from collections.abc import Callable, Sequence

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn


def seconds() -> float:
    """CPU time of this process, or, where a GPU does the work, the time at which it is done."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def averaged_model(runner: Runner) -> nn.Module:
    """The model with the averaged weights."""
    return next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module


class CurveRecorder(Hook):
    """Validate the averaged weights at given iterations and note what they had cost by then.

    After each of the iterations: the average of the weights (MMEngine's ``EMAHook``) is swapped in for the validation,
    so that every point of the curve is a model that one could stop at, and not the noise of a constant learning rate.
    Seconds are those of this process in forward, backward and optimiser step, data loading and validation left out.
    Where several trainings share a GPU they say little; ``cost.py`` measures the rows one by one.

    Args:
        iterations: when to validate.
        metric: name of the score in the validation's result.
        batch_size, frames: images of an iteration, and frames of an image.
        at_end: called with the averaged model and the validation's loader after the last point; its result is kept in
            ``extra``.
        deadline: as of ``time.monotonic()``; the first iteration after it is the last one and has a point.
    """

    priority = 'VERY_HIGH'  # before the average is updated, which is not counted

    def __init__(
        self,
        iterations: Sequence[int],
        metric: str,
        batch_size: int,
        frames: int,
        at_end: Callable[[nn.Module, object], dict] | None = None,
        deadline: float = math.inf,
    ) -> None:
        self.iterations, self.deadline = sorted(set(iterations)), deadline
        self.metric, self.batch_size, self.frames, self.at_end = metric, batch_size, frames, at_end
        self.points: list[dict[str, float]] = []
        self.extra: dict[str, float] = {}
        self.test_seconds = self.train_seconds = 0.0
        self.tested_images = 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self._start = seconds()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.train_seconds += seconds() - self._start
        done = runner.iter + 1
        is_last = done == self.iterations[-1] or time.monotonic() > self.deadline
        if is_last or done in self.iterations:
            metrics = runner.val_loop.run()
            images = done * self.batch_size
            self.points.append(
                {
                    'iterations': done,
                    'images': images,
                    'frames': images * self.frames,
                    'train_seconds': round(self.train_seconds, 1),
                    'score': round(float(metrics[self.metric]), 3),
                }
            )
            if is_last and self.at_end is not None:
                averaged = averaged_model(runner)
                averaged.eval()
                self.extra = self.at_end(averaged, runner.val_dataloader)
            runner.model.train()
            runner.train_loop.stop_training = is_last

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.tested_images += len(outputs)

    def before_train(self, runner: Runner) -> None:
        """Time the validation's steps alone: hooks after them run when the metric has done its work, too."""
        step = runner.model.val_step

        def timed(data: dict) -> list:
            start = seconds()
            result = step(data)
            self.test_seconds += seconds() - start
            return result

        runner.model.val_step = timed
