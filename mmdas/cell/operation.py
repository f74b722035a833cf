"""One row of a search space: a frame transformation and how its strength grows along the clip."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

RAMPS = ('signed', 'mirrored')


@dataclass(frozen=True)
class Operation:
    """A frame transformation with the range of its strength per step of distance from the reference frame.

    Args:
        name: the word that policies and configs use.
        function: ``function(images (N, C, H, W), magnitude (N,), ...) -> (N, C, H, W)`` with magnitude 0 = identity.
            Geometric functions also take ``padding``, random ones also take ``generator``.
        low, high: range of the strength mu per step, in ``unit``.
        unit: what the strength counts.
        matrix: ``matrix(magnitude (N,), (H, W)) -> (N, 2, 3)`` of the affine warp that the function is, see
            :func:`mmdas.ops.affine.warp_affine`; None for a function that reads colours and needs images in [0, 1].
        growth: ``'linear'``: magnitude mu * d; ``'power'``: magnitude (1 + mu)^d - 1.
        random: the function draws random numbers.
    """

    name: str
    function: Callable[..., Tensor]
    low: float
    high: float
    unit: str
    matrix: Callable[[Tensor, tuple[int, int]], Tensor] | None = None
    growth: str = 'linear'
    random: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether the operation has no strength because it does nothing."""
        return self.low == self.high == 0

    @property
    def geometric(self) -> bool:
        """Whether the operation moves pixels, all channels alike, so that a batch may be folded into them."""
        return self.matrix is not None

    def magnitude(self, strength: Tensor, offsets: Tensor) -> Tensor:
        """Magnitudes of the frames at the distances ``offsets`` (any shape) for a scalar ``strength``."""
        if self.growth == 'power':
            return (1 + strength) ** offsets - 1
        return strength * offsets


def ramp_offsets(offsets: Tensor, ramp: str) -> Tensor:
    """Distances as the ramp sees them: d for ``'signed'``, \\|d\\| for ``'mirrored'``."""
    if ramp not in RAMPS:
        raise ValueError(f'ramp must be one of {RAMPS}, got {ramp!r}')
    return offsets.abs() if ramp == 'mirrored' else offsets


def identity(images: Tensor, magnitude: Tensor) -> Tensor:
    """Return the images; the strength is without meaning."""
    return images


def draw_strength(operation: Operation, generator: torch.Generator) -> float:
    """A strength drawn uniformly from the operation's range."""
    return operation.low + (operation.high - operation.low) * torch.rand((), generator=generator).item()
