"""MMEngine's loops, resumed as if they had not been interrupted."""

import logging
from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdas.engine.hooks.early_stopping_state_hook import EarlyStoppingStateHook
from mmdas.engine.hooks.end_workers_hook import EndWorkersHook
from mmdas.engine.hooks.gradient_state_hook import GradientStateHook
from mmdas.engine.hooks.random_state_hook import RandomStateHook
from mmdas.engine.hooks.run_record_hook import RunRecordHook
from mmdas.engine.runner.sample_seeds import place_samples, placed_sampler
from mmdas.registry import LOOPS

from .endless_batches import EndlessBatches, check_batches, check_end
from .validation import Validating


class _Resumable(Validating):
    """What both share; a mixin before MMEngine's loop.

    * Every sample has random numbers of its own, by its place in the training, so that augmentation does not depend on
      what a worker has loaded before.
    * Checkpoints hold the random state, which dropout draws from, gradients that are being accumulated, and the state
      of MMEngine's early stopping.
    * A validation leaves the random state alone, and takes place once, see :class:`Validating`.
    * Batches of another size, or in other processes, go on where the data stood.
    """

    runner: Runner
    dataloader: DataLoader

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, *args: Any, **options: Any) -> None:
        if isinstance(dataloader, dict):
            dataloader = place_samples(dataloader, runner.seed)
        super().__init__(runner, dataloader, *args, **options)  # type: ignore[call-arg]  # of MMEngine's loop
        check_batches(self.dataloader)
        self._seed = runner.seed
        self._random_state, self._record = RandomStateHook(), RunRecordHook(self)
        self._gradients = GradientStateHook()
        end_workers = EndWorkersHook(self.dataloader)
        for hook in (self._random_state, self._record, self._gradients, EarlyStoppingStateHook(), end_workers):
            runner.register_hook(hook)
        self._start = 0  # iteration at which the data, or their epoch, began, for the batches that are taken now

    def position(self, meta: dict) -> int:
        """Batches of the data that are taken at a checkpoint; in a training with epochs those of the epoch.

        Args:
            meta: of the checkpoint.
        """
        return meta['iter'] - self._start

    def _go_on(self, batches: int) -> int:
        """Batches to leave out on resume: those of the checkpoint's record, or of a run without one."""
        iteration = self._iter  # of MMEngine's loop
        batches = batches if self._record.position is None else self._record.position
        self._start = iteration - batches
        return batches

    def _begin_resumed(self) -> None:
        self._gradients.restore(self.runner)
        if self.runner.seed != self._seed:
            text = f'the order of the data was drawn anew; with randomness=dict(seed={self.runner.seed}) it goes on'
            print_log(text, 'current', logging.WARNING)

    def _validate(self, done: int, last: int) -> None:
        self._decide_current_val_interval()  # type: ignore[attr-defined]  # of MMEngine's loop
        super()._validate(done, last)


@LOOPS.register_module()
class ResumableIterBasedTrainLoop(_Resumable, IterBasedTrainLoop):
    """MMEngine's ``IterBasedTrainLoop``; a resumed run equals one that was not interrupted, bit by bit.

    Args:
        as of MMEngine's loop.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dataloader_iterator = None  # of MMEngine's loop; classic releases begin to load in it

    def run(self) -> nn.Module:
        """Launch the training."""
        batches = EndlessBatches(self.dataloader)
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter > 0:
            self._begin_resumed()
            batches.skip(self._go_on(self._iter))
            self._random_state.restore()
            self._make_up_for_validation(self._iter, self._max_iters)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._validate(self._iter, self._max_iters)
        batches.close()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model


@LOOPS.register_module()
class ResumableEpochBasedTrainLoop(_Resumable, EpochBasedTrainLoop):
    """MMEngine's ``EpochBasedTrainLoop``; a resumed run equals one that was not interrupted, bit by bit.

    A checkpoint from the middle of an epoch is resumed there.

    Args:
        as of MMEngine's loop.

    Raises:
        DataError: if the data loader samples without end.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        check_end(self.dataloader)

    def position(self, meta: dict) -> int:
        """Batches of the epoch that are taken at a checkpoint."""
        return super().position(meta) if meta['epoch'] == self._epoch else 0

    def run(self) -> nn.Module:
        """Launch the training."""
        self.runner.call_hook('before_train')
        resumed = self._iter > 0
        if resumed:
            self._begin_resumed()
            if not self._record.position:  # between two epochs
                self._make_up_for_validation(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self._run_epoch(resumed)
            resumed = False
            self._validate(self._epoch, self._max_epochs)
        self.runner.call_hook('after_train')
        return self.runner.model

    def _run_epoch(self, resumed: bool) -> None:
        """One epoch, or what is left of one."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = 0
        if resumed:
            done = min(self._go_on(max(self._iter - self._epoch * len(self.dataloader), 0)), len(self.dataloader))
        self._start = self._iter - done
        for index, batch in enumerate(self._batches(done, resumed), done):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self._start = self._iter  # of the next epoch, for checkpoints of the validation

    def _batches(self, done: int, resumed: bool) -> Iterator[Any]:
        """Batches of the current epoch from ``done`` on, with the random state of the checkpoint.

        The state of one that was written between two epochs comes back before the loader draws from it, which one with
        workers that stay does only once, when they are started.
        """
        draws_now = done == 0 and not self.dataloader.persistent_workers
        if resumed and draws_now:
            self._random_state.restore()
        left: Any = ()
        if done < len(self.dataloader):
            sampler = placed_sampler(self.dataloader)
            if sampler is not None:
                sampler.set_epoch(self._epoch)  # places, whatever the sampler's own hook does
                sampler.skip(done * self.dataloader.batch_sampler.batch_size)  # type: ignore[union-attr]
            left = iter(self.dataloader)
            for _ in range(done if sampler is None else 0):
                next(left)
        if resumed and not draws_now:
            self._random_state.restore()
        yield from left
