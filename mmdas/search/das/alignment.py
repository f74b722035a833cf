"""Undo the warps of frames on maps that lie on them, such as logits."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from mmdas.ops.affine import content_mask, inverse, warp_affine, within_canvas
from mmdas.ops.clip import reference_frame
from mmdas.search.policy_file import PolicyError

from .operation import Operation, Size


class AlignedUse(NamedTuple):
    """What undoes the warps of frames, for messages: who does it, and what to do without."""

    name: str
    remedy: str


POOLING = AlignedUse("pooling='aligned'", "use pooling='mean'")
FUSION = AlignedUse('aligned=True of the fusion', 'leave it out (--fusion tsm instead of aligned-tsm)')


def refuse_deformations(operations: Iterable[Operation], use: AlignedUse = POOLING) -> None:
    """Check that operations can be undone.

    Raises:
        PolicyError: naming those that cannot.
    """
    names = sorted({operation.name for operation in operations if operation.deforms})
    if names:
        raise PolicyError(
            f'{use.name} undoes affine warps, but {", ".join(names)} of the space or policy moves pixels in another '
            f'way; search without it, or {use.remedy}'
        )


def unwarp(maps: Tensor, theta: Tensor, size: Size, canvas: Size) -> Tensor:
    """Warp the maps of all frames but the reference frame by the inverse matrices.

    Args:
        maps: (..., T, B, K, h, w), of any resolution.
        theta: (..., T-1, 2, 3), by which the images were warped.
        size: (H, W) of the images.
        canvas: (H, W) of the padded images, which the maps cover.

    Returns:
        (..., T, B, K, h, w); what lies outside a frame is zero.
    """
    frames = maps.shape[-5]
    middle = reference_frame(frames)
    before, reference, after = maps.split([middle, 1, frames - middle - 1], dim=-5)
    others = torch.cat([before, after], dim=-5)
    if tuple(size) != tuple(canvas):
        others = others * content_mask(others, size, canvas)
    undo = inverse(within_canvas(theta.flatten(0, -3), size, canvas))
    undo = undo.to(torch.promote_types(maps.dtype, torch.float32))
    back = warp_affine(others.flatten(0, -5).flatten(1, 2), undo).view_as(others)
    return torch.cat([back.narrow(-5, 0, middle), reference, back.narrow(-5, middle, frames - middle - 1)], dim=-5)
