"""Things that are made once per image size."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar('T')
_MAX_ENTRIES = 2  # a crop of the training and an image of the test
PATIENCE = 8  # plain passes that cost as much as the making of an operator


class SizeCache(Generic[T]):
    """What is made for an image size, for the sizes that come again and again.

    A copy of a cache, as of a model for an exponential moving average, starts empty.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, T] = {}
        self._missed: Hashable = None
        self._misses = 0

    def get(self, key: Hashable, build: Callable[[], T], patience: int = 0) -> T | None:
        """What was made for ``key``, or None while it is not worth its making.

        Args:
            key: the size and whatever else it depends on.
            build: makes it.
            patience: how many times in a row ``key`` is answered with None before it is made. 0 where sizes stay.
        """
        if key not in self._entries:
            self._misses = self._misses + 1 if key == self._missed else 1
            self._missed = key
            if self._misses <= patience:
                return None
            while len(self._entries) >= _MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = build()
        self._entries[key] = entry = self._entries.pop(key)  # to the end: the oldest in use goes first
        return entry

    def __reduce__(self) -> tuple:
        return type(self), ()
