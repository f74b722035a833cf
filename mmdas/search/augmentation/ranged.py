"""Operations whose magnitudes are learned within a range."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .apply import Canvas
from .operations import AUGMENT_OPERATIONS, AugmentOperation
from .parts import Choice

DIGITS = 8  # of the numbers of a policy


@dataclass(frozen=True)
class RangedOperation:
    """An operation whose magnitude lies between two values, at a learned share of the way.

    Args:
        name: of the table of operations.
        first, last: magnitudes at the shares 0 and 1, in the unit of the operation. Default: it has none.
    """

    name: str
    first: float = 0.0
    last: float = 0.0

    @property
    def operation(self) -> AugmentOperation:
        """Its row of the table."""
        return AUGMENT_OPERATIONS[self.name]

    @property
    def learns(self) -> bool:
        """Whether a share means anything."""
        return self.first != self.last

    @property
    def signed(self) -> bool:
        """Whether each image draws a sign: for warps that have a magnitude."""
        return self.learns and self.operation.geometric

    def magnitude(self, share: Tensor) -> Tensor:
        """Magnitudes at shares in [0, 1], of any shape."""
        return self.first + (self.last - self.first) * share

    def choice(self, share: float, probability: float = 1.0, weight: float = 1.0) -> Choice:
        """What a policy says of the operation at a share in [0, 1]."""
        magnitude = self.first + (self.last - self.first) * share
        return Choice(
            self.name,
            magnitude=round(magnitude, DIGITS) if self.learns else 0.0,
            probability=round(probability, DIGITS),
            weight=round(weight, DIGITS),
            signed=self.signed,
        )

    def apply(
        self, images: Tensor, labels: Tensor | None, share: Tensor, canvas: Canvas
    ) -> tuple[Tensor, Tensor | None]:
        """Apply the operation to all images of a batch, each with its own share and a sign of its own.

        Args:
            images: (N, C, H, W) in [0, 1].
            labels: (N, M, H, W) or None; they follow warps.
            share: (N,) in [0, 1].
            canvas: of warps.

        Returns:
            New images and labels. Differentiable in images and share, as far as the operation is.
        """
        operation, magnitude = self.operation, self.magnitude(share)
        if self.signed:
            magnitude = magnitude * random_signs(len(images)).to(magnitude)
        if operation.flips is not None:
            moved = labels if labels is None else labels.flip(operation.flips)
            return operation.function(images, magnitude), moved
        if operation.matrix is None:
            return operation.function(images, magnitude), labels
        size = (images.shape[-2], images.shape[-1])
        changed, moved = canvas.warp(images, labels, operation.matrix(magnitude.float(), size))
        return changed, moved if moved is None else moved.detach()


def random_signs(count: int) -> Tensor:
    """(count,) of -1 and 1, each as likely; drawn on the CPU."""
    return torch.randint(2, (count,)) * 2.0 - 1.0


def straight_through(images: Tensor, share: Tensor) -> Tensor:
    """The images with a derivative of 1 in their shares for each value (Bengio et al., 2013).

    Args:
        images: (N, C, H, W).
        share: (N,) or ().
    """
    share = share if share.dim() == 0 else share[:, None, None, None]
    return images + (share - share.detach()).to(images.dtype)
