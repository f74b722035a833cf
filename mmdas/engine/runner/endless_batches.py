"""Batches of a data loader without end, whose position a resumed search can find again."""

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import InfiniteSampler
from torch.utils.data import BatchSampler

from mmdas.engine.data_error import DataError
from mmdas.engine.runner.sample_seeds import placed_sampler


class EndlessBatches:
    """Iterate over a data loader again and again, each pass with its own order of the samples.

    Args:
        dataloader: torch's, of a data set that is not empty.

    Raises:
        DataError: if the data loader has no batch.
    """

    def __init__(self, dataloader: Any) -> None:
        check_batches(dataloader)
        self.dataloader = dataloader
        # a batch sampler that was configured holds the sampler that counts
        self._sampler = getattr(dataloader.batch_sampler, 'sampler', dataloader.sampler)
        self._passes = 0
        self._iterator: Iterator | None = None

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = self._start()
        try:
            return next(self._iterator)
        except StopIteration:
            self._passes += 1
            self._iterator = self._start()
            return next(self._iterator)

    def skip(self, batches: int) -> None:
        """Go on as after ``batches`` batches.

        Whole passes of a finite sampler are skipped without loading where every pass starts its workers anew; the rest
        is loaded, since the random state of the workers depends on it. Where every sample has a random state of its own
        (:class:`PlacedSampler`), nothing is loaded.
        """
        sampler = placed_sampler(self.dataloader)
        if sampler is not None:
            if not isinstance(sampler.sampler, InfiniteSampler):
                self._passes, batches = divmod(batches, len(self.dataloader))
            if batches:
                sampler.skip(batches * self.dataloader.batch_size)
                self._iterator = self._start()
            return
        if not isinstance(self._sampler, InfiniteSampler) and not self.dataloader.persistent_workers:
            self._passes, batches = divmod(batches, len(self.dataloader))
        for _ in range(batches):
            next(self)

    def close(self) -> None:
        """End the workers now; the garbage collector would wait five seconds for each of them."""
        self._iterator = None

    def _start(self) -> Iterator:
        set_epoch = getattr(self._sampler, 'set_epoch', None)
        if set_epoch is not None:
            set_epoch(self._passes)
        return iter(self.dataloader)


def check_batches(dataloader: Any) -> None:
    """Check that a data loader has a batch.

    Args:
        dataloader: torch's; one without end fills its batches with samples that come again.

    Raises:
        DataError: if it has none.
    """
    count = len(dataloader.dataset)
    if count == 0 or (len(dataloader) == 0 and not is_endless(dataloader)):
        raise DataError(
            f'the data loader of {count} samples has no batch of {dataloader.batch_size}; lower the batch size, set '
            'drop_last=False, or give more data (in a search by another ratio of the holdout)'
        )


def check_end(dataloader: Any) -> None:
    """Check that an epoch of a data loader ends.

    Raises:
        DataError: if its sampler never does: MMEngine would stay in the first epoch, without a checkpoint.
    """
    sampler, batch_sampler = _inner_sampler(dataloader), dataloader.batch_sampler
    if type(sampler) is InfiniteSampler and type(batch_sampler) is BatchSampler:  # those of others may have an end
        raise DataError(
            'InfiniteSampler of train_dataloader is for a training by iterations: an epoch of it never ends. Set '
            "sampler=dict(type='DefaultSampler', shuffle=True), or count iterations: by_epoch=False and max_iters"
        )


def is_endless(dataloader: Any) -> bool:
    """Whether its sampler never ends."""
    return isinstance(_inner_sampler(dataloader), InfiniteSampler)


def _inner_sampler(dataloader: Any) -> Any:
    """The sampler of a config, which gives each sample its place."""
    sampler: Any = getattr(dataloader.batch_sampler, 'sampler', dataloader.sampler)
    return getattr(sampler, 'sampler', sampler)
