"""Workers of data loaders, which end at once where they are told to.

Those of a loader in a reference cycle, as MMEngine's runners are, do not hear that they shall end when the garbage
collector takes it: it waits five seconds for each of them (PyTorch 2.14).
"""

from weakref import WeakSet

import pytest
from torch.utils.data import dataloader

_ITERATORS: WeakSet = WeakSet()


def know_workers(patch: pytest.MonkeyPatch) -> None:
    """Remember every iterator with workers from now on."""
    kind = dataloader._MultiProcessingDataLoaderIter
    make = kind.__init__

    def remembered(iterator, loader) -> None:
        make(iterator, loader)
        _ITERATORS.add(iterator)

    patch.setattr(kind, '__init__', remembered)


def end_workers() -> None:
    """End all workers that there are."""
    for iterator in list(_ITERATORS):
        iterator._shutdown_workers()
