"""What a search of an augmentation is."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from mmdas.search.base import Searchable

from .apply import Canvas


class AugmentSearch(Searchable):
    """A searchable that augments images, and labels with them, in the course of its search."""

    paused = False

    @property
    @abstractmethod
    def operations(self) -> tuple[str, ...]:
        """Names of the operations of the search space."""

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor | None, canvas: Canvas) -> tuple[Tensor, Tensor | None]:
        """Images (N, C, H, W) in [0, 1] and labels (N, M, H, W) or None -> the same, augmented."""

    def augment(self, images: Tensor, labels: Tensor | None, canvas: Canvas) -> tuple[Tensor, Tensor | None]:
        """As :meth:`forward`; the images as they are within :meth:`without`."""
        return (images, labels) if self.paused else self(images, labels, canvas)

    @contextmanager
    def without(self) -> Iterator[None]:
        """Show the network the data as they are."""
        before, self.paused = self.paused, True
        try:
            yield
        finally:
            self.paused = before

    def check_search(self, selected: bool) -> None:
        """Refuse a selection: these methods end with a distribution, of which a training draws.

        Raises:
            ValueError: if there is one.
        """
        if selected:
            raise ValueError(
                f'{type(self).__name__} ends with a distribution and makes no discrete decision; set '
                'train_cfg.selection=None'
            )
