"""CutMix (Yun et al., ICCV 2019): a box of an image is that of another one, in the same place."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta

from mmdas.search.das.operation import Size


@dataclass(frozen=True)
class Cuts:
    """Which boxes of a batch come from which image.

    Args:
        partners: (B,), places in the batch of the images that the boxes are cut from.
        boxes: (B, 1, H, W), bool, true within the boxes.
    """

    partners: Tensor
    boxes: Tensor

    def __call__(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) of any type with the boxes in their places."""
        return torch.where(self.boxes.to(maps.device), maps[self.partners.to(maps.device)], maps)


def draw_cuts(sizes: Sequence[Size], canvas: Size, probability: float, beta: float) -> Cuts:
    """Draw boxes with the random numbers of PyTorch on the CPU.

    Args:
        sizes: (H, W) of the contents, which lie in the upper left corner. A box lies in both contents.
        canvas: (H, W) of the batch.
        probability: that an image gets a box.
        beta: parameter of the Beta distribution of the part of an image that stays its own.
    """
    count = len(sizes)
    boxes = torch.zeros(count, 1, *canvas, dtype=torch.bool)
    partners = torch.arange(count)
    for place in range(count if count > 1 else 0):
        if torch.rand(()) >= probability:
            continue
        partners[place] = (place + torch.randint(1, count, ())) % count
        other = sizes[int(partners[place])]
        shared = min(sizes[place][0], other[0]), min(sizes[place][1], other[1])
        boxes[place, 0][draw_box(shared, beta)] = True
    return Cuts(partners, boxes)


def draw_box(size: Size, beta: float) -> tuple[slice, slice]:
    """Rows and columns of a box: of a part of the area, about any pixel, and cut off at the border (Eq. 2)."""
    side = (1 - float(Beta(beta, beta).sample())) ** 0.5
    spans = []
    for length in size:
        extent = round(side * length)
        start = int(torch.randint(length, ())) - extent // 2
        spans.append(slice(max(start, 0), min(start + extent, length)))
    return spans[0], spans[1]
