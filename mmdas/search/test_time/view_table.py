"""What the views of the held-out images gave to the true classes: all that the learning of the weights needs.

A network is often surer than it is right. Its likelihood then rewards any two views that differ, since their mean is
less sure. So the weights are learned on probabilities of a temperature, at which the image alone is most likely
(temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Sec. 4.2).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .probabilities import TINY, class_probabilities
from .view import View
from .weights import FLOOR

NUM_PIXELS = 10_000  # of all label maps together
TEMPERATURES = tuple(2 ** (step / 2) for step in range(-2, 7))  # 0.5 to 8


class ViewTable:
    """Probabilities of the true class, a row each view and a column each sample: ten numbers a view and sample.

    A sample is an image of a classification, or a pixel of a label map: of each map as many pixels are drawn, so that
    the memory does not depend on the size of the maps.

    Args:
        views: the rows; the first one says which temperature is right.
        num_images: number of images that will come, among which the pixels are dealt out.
        num_pixels: of all label maps together. Default: 10,000.
        ignore_index: label of a pixel without a class.
        seed: of the drawing.
    """

    def __init__(
        self,
        views: Sequence[View],
        num_images: int,
        num_pixels: int = NUM_PIXELS,
        ignore_index: int = 255,
        seed: int = 0,
    ) -> None:
        self.views = tuple(views)
        self.per_image = max(1, -(-num_pixels // max(num_images, 1)))
        self.ignore_index = ignore_index
        self.generator = torch.Generator().manual_seed(seed)
        self._true: list[list[Tensor]] = [[] for _ in views]
        self._seen: list[list[Tensor]] = [[] for _ in views]

    @property
    def probabilities(self) -> Tensor:
        """(V, N), at the :attr:`temperature`."""
        return self._tempered()[:, TEMPERATURES.index(self.temperature)]

    @property
    def temperature(self) -> float:
        """What the logits are divided by, so that the labels are most likely by the first view."""
        return TEMPERATURES[int(self._tempered()[0].clamp(min=FLOOR).log().mean(-1).argmax())]

    def _tempered(self) -> Tensor:
        """(V, temperatures, N)."""
        empty = torch.zeros(len(TEMPERATURES), 0)
        return torch.stack([torch.cat(row, dim=1) if row else empty for row in self._true])

    @property
    def seen(self) -> Tensor:
        """(V, N), 1 where the view shows the sample, else 0."""
        return torch.stack([torch.cat(row) if row else torch.zeros(0) for row in self._seen])

    def add_classes(self, view: int, probabilities: Tensor, labels: Tensor) -> None:
        """Add what a view of some images says.

        Args:
            view: number of the row.
            probabilities: (N, K).
            labels: (N,), the classes.

        Raises:
            ValueError: if the labels are not one class an image.
        """
        classes = class_probabilities(probabilities)
        if labels.shape != probabilities.shape[:1]:
            raise ValueError(
                f'labels must be one class an image, ({len(probabilities)},), got {tuple(labels.shape)}; views of '
                'images with several classes are not searched'
            )
        check_range(labels, classes.shape[1])
        self._true[view].append(of_true_class(classes, labels.to(classes.device)).cpu())
        self._seen[view].append(torch.ones(len(labels)))

    def draw_pixels(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels of a label map (H, W) that have a class: their numbers in it, and their classes."""
        flat = labels.flatten().cpu()
        places = (flat != self.ignore_index).nonzero()[:, 0]
        chosen = places[torch.randperm(len(places), generator=self.generator)[: self.per_image]]
        return chosen, flat[chosen].long()

    def add_pixels(
        self, view: int, probabilities: Tensor, seen: Tensor, shape: Sequence[int], drawn: tuple[Tensor, Tensor]
    ) -> None:
        """Add what a view of one image says of drawn pixels of its label map.

        Args:
            view: number of the row.
            probabilities: (K, h, w) over the whole image, of any resolution.
            seen: (1, h, w).
            shape: (H, W) of the label map.
            drawn: as of :meth:`draw_pixels`.
        """
        places, labels = (one.to(probabilities.device) for one in drawn)
        classes = class_probabilities(probabilities[None])
        check_range(labels, classes.shape[1])
        height, width = shape
        x, y = ((places % width) * 2 + 1) / width - 1, ((places // width) * 2 + 1) / height - 1
        grid = torch.stack([x, y], dim=-1)[None, None].to(classes.dtype)  # (1, 1, M, 2)
        read = F.grid_sample(classes, grid, padding_mode='border', align_corners=False)[0, :, 0]  # (K, M)
        shown = F.grid_sample(seen[None].to(grid), grid, 'nearest', padding_mode='border', align_corners=False)[0, 0, 0]
        self._true[view].append(of_true_class(read.mT, labels).cpu())
        self._seen[view].append(shown.cpu())


def of_true_class(classes: Tensor, labels: Tensor) -> Tensor:
    """Probabilities of the true class at all temperatures, (temperatures, N), of probabilities (N, K)."""
    logits = classes.clamp(min=TINY).log()
    tempered = [(logits / temperature).softmax(1) for temperature in TEMPERATURES]
    return torch.stack([one.gather(1, labels[:, None])[:, 0] for one in tempered])


def check_range(labels: Tensor, num_classes: int) -> None:
    """Refuse labels that no class stands for.

    Raises:
        ValueError: naming them.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f'labels reach from {int(labels.min())} to {int(labels.max())}, but the network has {num_classes} classes; '
            'give the label that does not count as ignore_index, or correct the labels'
        )
