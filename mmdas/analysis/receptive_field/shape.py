"""The shape of a receptive field, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SHARES = (0.25, 0.5, 0.75, 0.95)  # of the mass, whose radii are told
MASS = 0.95  # that the area holds


@dataclass(frozen=True)
class FieldShape:
    """What a map of a field looks like. Lengths are pixels.

    Args:
        area: fewest pixels that hold 95 % of the mass.
        centre: (x, y) of the centre of mass, from the middle of the image, right and down positive.
        spread: standard deviations along the longer and the shorter axis.
        aspect: the longer one by the shorter one, >= 1.
        orientation: of the longer axis, degrees in (-90, 90], counter-clockwise from the horizontal; nothing where the
            aspect is near 1.
        radii: share of the mass -> radius about the centre of mass within which it lies.
    """

    area: int
    centre: tuple[float, float]
    spread: tuple[float, float]
    aspect: float
    orientation: float
    radii: dict[float, float]


def describe_field(field: Tensor) -> FieldShape:
    """The shape of a field.

    Args:
        field: (H, W), >= 0.

    Raises:
        ValueError: for a map that is zero everywhere.
    """
    mass, places = _mass_and_places(field)
    centre = mass @ places  # (x, y)
    offsets = places - centre
    covariance = (mass[:, None] * offsets).T @ offsets
    values, axes = torch.linalg.eigh(covariance)  # ascending
    short, long = values.clamp(min=0).sqrt().tolist()
    x, y = axes[:, 1].tolist()
    angle = float(torch.rad2deg(torch.atan2(torch.tensor(-y), torch.tensor(x))))  # y points down
    return FieldShape(
        int((mass.sort(descending=True).values.cumsum(0) < MASS).sum()) + 1,
        (float(centre[0]), float(centre[1])),
        (long, short),
        long / short if short > 0 else float('inf'),
        angle - 180 if angle > 90 else angle + 180 if angle <= -90 else angle,
        dict(zip(SHARES, radii_of(field, SHARES), strict=True)),
    )


def radii_of(field: Tensor, shares: Sequence[float]) -> list[float]:
    """Radii about the centre of mass within which shares of the mass lie, the radial cumulative mass turned round.

    Args:
        field: (H, W), >= 0.
        shares: in [0, 1].

    Returns:
        pixels, as many.

    Raises:
        ValueError: for a map that is zero everywhere.
    """
    mass, places = _mass_and_places(field)
    distances = (places - mass @ places).norm(dim=1)
    order = distances.argsort()
    within = mass[order].cumsum(0)
    found = torch.searchsorted(within, torch.tensor(list(shares), dtype=within.dtype)).clamp(max=len(within) - 1)
    return [float(radius) for radius in distances[order][found]]


def _mass_and_places(field: Tensor) -> tuple[Tensor, Tensor]:
    """The map as shares (H*W,), and (x, y) of each pixel from the middle of the image, (H*W, 2)."""
    height, width = field.shape
    mass = field.detach().double().cpu().flatten()
    if not float(mass.sum()) > 0:
        raise ValueError('the field is zero everywhere: no unit in the middle depends on any pixel')
    rows, columns = (torch.arange(n, dtype=torch.double) - (n - 1) / 2 for n in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return mass / mass.sum(), torch.stack([x.flatten(), y.flatten()], dim=1)
