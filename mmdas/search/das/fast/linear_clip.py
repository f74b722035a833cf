"""Clips of cells whose operations are all affine warps, by sparse operators instead of operation by operation.

Such a cell is linear in the image. Every edge is then one pass over a :class:`mmdas.ops.warp_operator.WarpOperator`
that holds the warps of all its operations, or, where tables are narrow, over forms of its warps that need fewer taps;
the gradients of the mixture weights are inner products with warped frames that are made anew in the backward pass. The
plain loop of ``DASCell`` is the reference.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmdas.ops.clip import clip_around, image_to_table, table_to_time_major
from mmdas.ops.mixed_warps import mix_warps
from mmdas.ops.recording import is_recorded
from mmdas.ops.warp_operator import WarpOperator

from ..frame_transform import FrameTransform
from ..operation import Operation, Size
from ..topology import Edge, canonical_source, steps
from .narrow_clip import NarrowOperators, has_narrow_form, narrow_clip

# Taps of the operators of one image size, in bytes. The transposed ones of edges between nodes take 1.5 times theirs on
# top, and the operators of two sizes may be kept.
MAX_BYTES = 2**31
# Where edges share nothing, warps of their own forms are faster than taps for tables of at most so many columns and at
# least so many pixels (benchmarks A2 and G4).
NARROW_COLUMNS, NARROW_PIXELS = 24, 96 * 96


class Link(NamedTuple):
    """What flows into node ``target`` from node ``source`` (0 is the image) through the operator ``operator``."""

    source: int
    target: int
    operator: int


def is_linear(operations: Iterable[Operation]) -> bool:
    """Whether all operations are affine warps or the identity."""
    return all(operation.geometric or operation.is_identity for operation in operations)


def fits(images: Tensor, num_taps: int, num_frames: int) -> bool:
    """Whether operators are the faster way to a clip of these images, and small enough to be kept.

    They are on the processor (``benchmarks/README.md``, A2 and A3). Under tracing, compilation and ``torch.func`` the
    plain form is what can be recorded.

    Args:
        images: (B, C, H, W).
        num_taps: of all warps together, 4 for each and 1 for the identity.
        num_frames: T.
    """
    if is_recorded() or images.device.type != 'cpu' or images.dtype not in (torch.float32, torch.float64):
        return False
    if not images.numel():
        return False
    rows = (num_frames - 1) * images.shape[-2] * images.shape[-1]
    return num_taps * rows * (4 + images.element_size()) <= MAX_BYTES


def is_narrow(images: Tensor) -> bool:
    """Whether the warps of edges that share nothing are faster in forms of their own: images (B, C, H, W)."""
    batch, channels, height, width = images.shape
    return batch * channels <= NARROW_COLUMNS and height * width >= NARROW_PIXELS


def build_narrow(
    transform: FrameTransform,
    operations: Sequence[Operation],
    strengths: Sequence[Sequence[float]],
    images: Tensor,
    size: Size,
) -> NarrowOperators | None:
    """Maps of all edges for the frames beside the reference frame, or None where a warp has no form for that.

    Args:
        transform, operations, images, size: as of :func:`build_operator`.
        strengths: of the operations, a row for each edge.
    """
    theta = [_matrices(transform, operations, row, size) for row in strengths]
    if not all(has_narrow_form(matrices) for row in theta for matrices in row):
        return None
    return NarrowOperators(theta, transform.num_frames - 1, images.shape[-2:], transform.padding, images.dtype)


def build_operator(
    transform: FrameTransform, operations: Sequence[Operation], strengths: Sequence[float], images: Tensor, size: Size
) -> WarpOperator:
    """Operator for the frames beside the reference frame.

    Args:
        transform: of the cell.
        operations: one warp each.
        strengths: of the operations.
        images: (B, C, H, W), whose size and dtype the operator is for.
        size: (H, W) in pixels of what they show.
    """
    theta = _matrices(transform, operations, strengths, size)
    return WarpOperator(theta, transform.num_frames - 1, images.shape[-2:], transform.padding, images.dtype)


def _matrices(
    transform: FrameTransform, operations: Sequence[Operation], strengths: Sequence[float], size: Size
) -> list[Tensor | None]:
    return [
        None if operation.is_identity else transform.matrices(operation, strength, size)
        for operation, strength in zip(operations, strengths, strict=True)
    ]


def linear_clip(
    images: Tensor,
    operators: Sequence[WarpOperator] | NarrowOperators,
    edges: Sequence[Edge],
    weights: Tensor,
    num_nodes: int,
    num_frames: int,
    reduction: str = 'mean',
) -> Tensor:
    """Clip of a cell of mixed warps.

    Args:
        images: (B, C, H, W).
        operators: of K warps for T-1 frames each; one for all edges or one per edge, or the narrow ones of these edges.
        edges: the edges that are there.
        weights: (edges, K), of the warps.
        num_nodes: intermediate nodes.
        num_frames: T >= 2.
        reduction: ``'mean'`` or ``'sum'`` of the edges that end in a node.

    Returns:
        (B, T*C, H, W), differentiable in images and weights.

    Raises:
        ValueError: if no edge ends in a node that the clip depends on.
    """
    table = image_to_table(images)
    if isinstance(operators, NarrowOperators):
        links, weights = _merge(edges, weights, num_nodes, reduction, shared=False)
        frames = narrow_clip(table, weights, links, operators)
    else:
        links, weights = _merge(edges, weights, num_nodes, reduction, shared=len(operators) == 1)
        frames = _wide_clip(table.repeat(num_frames - 1, 1), weights, links, operators)
    return clip_around(images * _share_of_image(links, weights), table_to_time_major(frames, images.shape))


def _wide_clip(table: Tensor, weights: Tensor, links: Sequence[Link], operators: Sequence[WarpOperator]) -> Tensor:
    """The frames of the last node for those of the image, (G*H*W, D) both."""
    nodes = {0: table}
    for (source, operator), indices in _fans(links).items():
        parts = mix_warps(nodes[source], weights[indices], operators[operator])
        for index, part in zip(indices, parts, strict=True):
            target = links[index].target
            nodes[target] = nodes[target] + part if target in nodes else part
    return nodes[links[-1].target]


def _fans(links: Sequence[Link]) -> dict[tuple[int, int], list[int]]:
    """Positions of the links that leave a node through one operator; a node comes after all that flows into it."""
    fans: dict[tuple[int, int], list[int]] = {}
    for index in sorted(range(len(links)), key=lambda index: links[index].source):
        fans.setdefault((links[index].source, links[index].operator), []).append(index)
    return fans


def _merge(
    edges: Sequence[Edge], weights: Tensor, num_nodes: int, reduction: str, shared: bool
) -> tuple[list[Link], Tensor]:
    """Links in order with their weights, their shares in their nodes included.

    Edges from the two input nodes to one node are a single link where they have the same operator.
    """
    links, order, shares = [], [], []
    for target, positions in steps(edges, num_nodes):
        links += [Link(canonical_source(edges[p][0]), target, 0 if shared else p) for p in positions]
        order += positions
        shares += [1 / len(positions) if reduction == 'mean' else 1.0] * len(positions)
    merged = list(dict.fromkeys(links))
    weights = weights[order] * weights.new_tensor(shares)[:, None]
    index = torch.tensor([merged.index(link) for link in links])
    return merged, weights.new_zeros(len(merged), weights.shape[1]).index_add(0, index, weights)


def _share_of_image(links: Sequence[Link], weights: Tensor) -> Tensor:
    """What the weights multiply a frame by that no operation changes."""
    shares: dict[int, Tensor] = {0: weights.new_ones(())}
    for link, row in zip(links, weights.sum(dim=1).unbind(), strict=True):
        part = shares[link.source] * row
        shares[link.target] = shares[link.target] + part if link.target in shares else part
    return shares[links[-1].target]
