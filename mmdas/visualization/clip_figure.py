"""Clips as pictures."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mmdas.ops.clip import clip_to_frames, frame_offsets, reference_frame, split_frames
from mmdas.search.das import OPERATIONS, Policy, PolicyEdge
from mmdas.search.das.topology import NUM_INPUTS

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARK = 'tab:red'
LINE, LETTERS = 0.14, 26  # of a caption: inches of a line, letters a frame
MAX_LINES, MAX_PATHS = 8, 64  # paths that a caption names, and looks at: there may be very many
BAR = 14  # pixels above an animation, for the name of the frame


def clip_to_images(
    clip: Tensor, num_frames: int, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> np.ndarray:
    """Frames of clips as images.

    Args:
        clip: (B, T*C, H, W) with C = 1 or 3, normalised; with 3 channels in the order red, green, blue.
        num_frames: T.
        mean, std: normalisation that is undone, one number or one per channel, in pixel values 0..255. Default: the
            clip holds pixel values.

    Returns:
        (B, T, H, W, 3), uint8; values outside 0..255 are clipped, one channel becomes grey.

    Raises:
        ValueError: for another number of channels, or a normalisation of another length.
    """
    frames = clip_to_frames(clip.detach().float().cpu(), num_frames)  # (B*T, C, H, W)
    channels = frames.shape[1]
    if channels not in (1, 3):
        raise ValueError(
            f'a frame has 1 or 3 channels to be shown, got {channels} ({clip.shape[1]} in {num_frames} frames)'
        )
    for name, values in (('mean', mean), ('std', std)):
        if len(values) not in (1, channels):
            raise ValueError(f'{name} has {len(values)} values for frames of {channels} channels; give 1 or {channels}')
    scale, shift = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (std, mean))
    pixels = (frames * scale + shift).round().clamp(0, 255).to(torch.uint8)
    pixels = pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)  # (B*T, H, W, 3)
    return split_frames(pixels, num_frames).numpy()


def draw_clips(clips: np.ndarray, titles: Sequence[str] | None = None, caption: str = '') -> 'Figure':
    """Draw clips, one a row, with a frame around the reference frame.

    Args:
        clips: (B, T, H, W, 3), uint8, as of :func:`clip_to_images`.
        titles: names of the images, B of them, written at the left.
        caption: written below, such as of :func:`describe_clip`. Default: nothing.

    Raises:
        ValueError: if there is not one title for each clip.
    """
    num_clips, num_frames, height, width = clips.shape[:4]
    lines = [part for line in caption.splitlines() for part in wrap(line, int(num_frames * LETTERS)) or ['']]
    titles = [''] * num_clips if titles is None else titles
    if len(titles) != num_clips:
        raise ValueError(f'{len(titles)} titles for {num_clips} clips; give one for each')
    figure, grid = new_image_grid(titles, frame_names(num_frames), height / width, LINE * len(lines))
    figure.text(0.01, 0.01, '\n'.join(lines), fontsize=7, va='bottom')
    for row, clip in zip(grid, clips, strict=True):
        for axes, frame in zip(row, clip, strict=True):
            axes.imshow(frame, interpolation='nearest')
        row[reference_frame(num_frames)].spines[:].set(visible=True, color=MARK, linewidth=3)
    return figure


def frame_names(num_frames: int) -> list[str]:
    """``'-1'``, ``'reference'``, ``'+1'`` and so on."""
    offsets = frame_offsets(num_frames).int().tolist()
    return [f'{offset:+d}' if offset else 'reference' for offset in offsets]


def describe_clip(policy: Policy) -> str:
    """What a policy does from the image to the clip, a line each path: operations with their strengths a step.

    Frame t has t steps; those before the reference frame negative ones, or positive ones with a mirrored ramp. Frames
    of several paths are their mean or sum.
    """
    edges: dict[int, list[PolicyEdge]] = {}
    for edge in policy.needed_edges:
        edges.setdefault(edge.target, []).append(edge)
    paths = islice(_paths(NUM_INPUTS + policy.num_nodes - 1, edges), MAX_PATHS)
    lines = list(dict.fromkeys(', then '.join(map(_describe_step, path)) or 'the image' for path in paths))
    more = ['and more'] if len(lines) > MAX_LINES else []
    head = f'a step ({policy.ramp} ramp{"" if len(lines) == 1 else f", {policy.node_reduction} of the paths"}): '
    return head + '\n'.join([*lines[:MAX_LINES], *more])


def _paths(node: int, edges: dict[int, list[PolicyEdge]]) -> Iterator[list[PolicyEdge]]:
    """The ways from the image to a node, without identities."""
    if node < NUM_INPUTS:
        yield []
        return
    for edge in edges[node]:
        own = [] if OPERATIONS[edge.operation].is_identity else [edge]
        yield from ([*path, *own] for path in _paths(edge.source, edges))


def _describe_step(edge: PolicyEdge) -> str:
    operation = OPERATIONS[edge.operation]
    return f'{operation.name} {edge.strength:+.3g} {operation.unit}'


def animate_clips(clips: np.ndarray, path: str | Path, milliseconds: int = 400) -> None:
    """Write clips side by side as a GIF that shows one frame after the other, with its name.

    Args:
        clips: (B, T, H, W, 3), uint8.
        path: of the GIF.
        milliseconds: that a frame is shown.
    """
    from PIL import Image, ImageDraw

    pictures = []
    for name, frames in zip(frame_names(clips.shape[1]), clips.swapaxes(0, 1), strict=True):
        row = np.concatenate(list(frames), axis=1)  # (H, B*W, 3)
        picture = Image.new('RGB', (row.shape[1], row.shape[0] + BAR))
        picture.paste(Image.fromarray(row), (0, BAR))
        ImageDraw.Draw(picture).text((2, 1), name)
        pictures.append(picture)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
