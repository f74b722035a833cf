"""A hook that keeps the curve of a training: score, images, frames and CPU seconds at some iterations."""

import time
from collections.abc import Callable, Sequence

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn


class CurveRecorder(Hook):
    """Validate the averaged weights at given iterations and note what they had cost by then.

    After each of the iterations: the average of the weights (MMEngine's ``EMAHook``) is swapped in for the validation,
    so that every point of the curve is a model that one could stop at, and not the noise of a constant learning rate.
    Seconds are those of this process in forward, backward and optimiser step, data loading and validation left out.

    Args:
        iterations: when to validate.
        metric: name of the score in the validation's result.
        batch_size, frames: images of an iteration, and frames of an image.
        at_end: called with the averaged model and the validation's loader after the last point; its result is kept in
            ``extra``.
    """

    priority = 'VERY_HIGH'  # before the average is updated, which is not counted

    def __init__(
        self,
        iterations: Sequence[int],
        metric: str,
        batch_size: int,
        frames: int,
        at_end: Callable[[nn.Module, object], dict] | None = None,
    ) -> None:
        self.iterations = sorted(set(iterations))
        self.metric, self.batch_size, self.frames, self.at_end = metric, batch_size, frames, at_end
        self.points: list[dict[str, float]] = []
        self.extra: dict[str, float] = {}
        self.test_seconds = self.train_seconds = 0.0
        self.tested_images = 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self._start = time.process_time()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.train_seconds += time.process_time() - self._start
        done = runner.iter + 1
        if done in self.iterations:
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
            if done == self.iterations[-1] and self.at_end is not None:
                averaged = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
                averaged.eval()
                self.extra = self.at_end(averaged, runner.val_dataloader)
            runner.model.train()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.tested_images += len(outputs)

    def before_train(self, runner: Runner) -> None:
        """Time the validation's steps alone: hooks after them run when the metric has done its work, too."""
        step = runner.model.val_step

        def timed(data: dict) -> list:
            start = time.process_time()
            result = step(data)
            self.test_seconds += time.process_time() - start
            return result

        runner.model.val_step = timed
