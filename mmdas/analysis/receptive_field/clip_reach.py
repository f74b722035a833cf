"""Where the frames of a clip take the pixels of a receptive field from."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdas.ops.clip import reference_frame, split_frames

from .theory import StageField

SEEN = 1e-3  # share of the largest weight from which on a pixel counts: rounding lets through less


def box_in_middle(size: tuple[int, int], field: tuple[int | None, int | None]) -> Tensor:
    """The theoretical field of the unit in the middle, as (H, W) of booleans; cut where the image ends.

    Args:
        size: (H, W) of the image.
        field: height and width; None for all of the image.
    """
    mask = torch.zeros(size, dtype=torch.bool)
    spans = []
    for side, extent in zip(size, field, strict=True):
        extent = side if extent is None else min(extent, side)
        start = (side - extent) // 2
        spans.append(slice(start, start + extent))
    mask[spans[0], spans[1]] = True
    return mask


def field_in_middle(size: tuple[int, int], stages: Sequence[StageField]) -> Tensor:
    """The box of the last stage of the backbone.

    Args:
        size: (H, W) of the image.
        stages: of :func:`theoretical_fields`, some of them of the backbone.
    """
    last = [stage for stage in stages if not stage.stage.startswith('decode_head')][-1]
    return box_in_middle(size, (last.height, last.width))


def union_of(reaches: Tensor) -> dict[str, Any]:
    """What the frames see together and each, in pixels, with their boxes (left, top, right, bottom).

    Args:
        reaches: (T, H, W), of :func:`frame_reaches`.
    """
    boxes = []
    for frame in reaches:
        rows, columns = frame.any(1).nonzero().flatten(), frame.any(0).nonzero().flatten()
        empty = not len(rows)
        boxes.append(None if empty else [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
    return {
        'frames': len(reaches),
        'reference': int(reaches[reference_frame(len(reaches))].sum()),
        'union': int(reaches.any(0).sum()),
        'areas': reaches.flatten(1).sum(1).tolist(),
        'boxes': boxes,
    }


def frame_reaches(to_clip: Callable[[Tensor], Tensor], num_frames: int, mask: Tensor, channels: int = 3) -> Tensor:
    """The pixels of the image that each frame shows within a field.

    A unit that sees a box of every frame depends on the image where the warps carry the box back to. The union over the
    frames is the theoretical field of a network that joins all of them, by fusion or pooling.

    Args:
        to_clip: images (1, C, H, W) -> clip (1, T*C, H, W), differentiable.
        num_frames: T.
        mask: (H, W), the field within each frame.
        channels: C.

    Returns:
        (T, H, W), bool.
    """
    noise = torch.rand(1, channels, *mask.shape, generator=torch.Generator().manual_seed(0))
    image = (0.4 + 0.2 * noise).requires_grad_(True)  # neither black nor white, where colour operations end
    with torch.enable_grad():
        frames = split_frames(to_clip(image).view(num_frames, channels, *mask.shape), num_frames)[0]  # (T, C, H, W)
        found = []
        for frame in frames:
            total = (frame * mask).sum()
            slope = torch.autograd.grad(total, image, retain_graph=True)[0].abs().sum((0, 1))  # (H, W)
            found.append(slope > SEEN * slope.max())
    return torch.stack(found)
