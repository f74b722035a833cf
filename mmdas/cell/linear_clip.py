"""Clips of cells whose operations are all affine warps, by sparse operators instead of operation by operation.

Such a cell is linear in the image. Every edge is then one pass over a :class:`mmdas.ops.warp_operator.WarpOperator`
that holds the warps of all its operations, and the gradients of the mixture weights are inner products with warped
frames that are made anew in the backward pass. The plain loop of ``DASCell`` and ``PolicyClip`` is the reference.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmdas.ops.clip import reference_frame
from mmdas.ops.warp_operator import WarpOperator

from .frame_transform import FrameTransform
from .operation import Operation
from .topology import Edge, canonical_source, steps

# Taps of the operators of one image size, in bytes; the transposed operators of a search come on top.
MAX_BYTES = 2**31
_MAX_ENTRIES = 2  # a crop of the training and an image of the test


class Link(NamedTuple):
    """What flows into node ``target`` from node ``source`` (0 is the image) through the operator ``operator``."""

    source: int
    target: int
    operator: int


class OperatorCache:
    """The operators of the image sizes that come again and again.

    A copy of a cache, as of a model for an exponential moving average, starts empty.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, list[WarpOperator]] = {}
        self._missed: Hashable = None
        self._misses = 0

    def get(self, key: Hashable, build: Callable[[], list[WarpOperator]], patience: int) -> list[WarpOperator] | None:
        """The operators of ``key``, or None while they are not worth their making.

        Args:
            key: size and whatever else the operators depend on.
            build: makes them, at the cost of several plain passes.
            patience: how many times in a row ``key`` is answered with None before they are made. 0 where sizes stay.
        """
        if key not in self._entries:
            self._misses = self._misses + 1 if key == self._missed else 1
            self._missed = key
            if self._misses <= patience:
                return None
            while len(self._entries) >= _MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = build()
        return self._entries[key]

    def __reduce__(self) -> tuple:
        return OperatorCache, ()


def is_linear(operations: Iterable[Operation]) -> bool:
    """Whether all operations are affine warps or the identity."""
    return all(operation.geometric or operation.is_identity for operation in operations)


def fits(images: Tensor, operations: Iterable[Operation], num_frames: int) -> bool:
    """Whether operators are the faster way to a clip of these images, and small enough to be kept.

    They are on the processor, at every size and batch that was measured (``benchmarks/README.md``, A2 and A3). Under
    tracing and compilation the plain loop is what can be recorded.

    Args:
        images: (B, C, H, W).
        operations: of all operators.
        num_frames: T.
    """
    if images.device.type != 'cpu' or images.dtype not in (torch.float32, torch.float64):
        return False
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    taps = sum(1 if operation.is_identity else 4 for operation in operations)
    rows = (num_frames - 1) * images.shape[-2] * images.shape[-1]
    return taps * rows * (4 + images.element_size()) <= MAX_BYTES


def build_operator(
    transform: FrameTransform, operations: Sequence[Operation], strengths: Sequence[float], images: Tensor
) -> WarpOperator:
    """Operator with one warp per operation for the frames beside the reference frame of clips of ``images``."""
    size = images.shape[-2:]
    theta = [
        None if operation.is_identity else transform.matrices(operation, strength, size)
        for operation, strength in zip(operations, strengths, strict=True)
    ]
    return WarpOperator(theta, size, transform.padding, images.dtype, num_groups=transform.num_frames - 1)


def linear_clip(
    images: Tensor,
    operators: Sequence[WarpOperator],
    edges: Sequence[Edge],
    weights: Tensor,
    num_nodes: int,
    num_frames: int,
    reduction: str = 'mean',
) -> Tensor:
    """Clip of a cell of mixed warps.

    Args:
        images: (B, C, H, W).
        operators: of K warps for T-1 frames each; one for all edges or one per edge.
        edges: the edges that are there.
        weights: (edges, K), of the warps.
        num_nodes: intermediate nodes.
        num_frames: T >= 2.
        reduction: ``'mean'`` or ``'sum'`` of the edges that end in a node.

    Returns:
        (B, T*C, H, W), differentiable in images and weights, once.

    Raises:
        ValueError: if no edge ends in a node that the clip depends on.
    """
    links, weights = _merge(edges, weights, num_nodes, reduction, shared=len(operators) == 1)
    batch, channels, height, width = images.shape
    table = images.permute(2, 3, 0, 1).reshape(height * width, batch * channels)
    table = _LinearGraph.apply(table.repeat(num_frames - 1, 1), weights, links, operators)
    frames = table.view(num_frames - 1, height, width, batch, channels).permute(3, 0, 4, 1, 2)  # (B, T-1, C, H, W)
    middle = reference_frame(num_frames)
    reference = images * _share_of_image(links, weights)
    return torch.cat([frames[:, :middle], reference.unsqueeze(1), frames[:, middle:]], dim=1).flatten(1, 2)


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


class _LinearGraph(torch.autograd.Function):
    """(R, D) image, (links, K) weights -> (R, D) last node; keeps one table per node for the backward pass."""

    @staticmethod
    def forward(
        ctx, table: Tensor, weights: Tensor, links: Sequence[Link], operators: Sequence[WarpOperator]
    ) -> Tensor:
        nodes = {0: table}
        for link, row in zip(links, weights.unbind(), strict=True):
            _add(nodes, link.target, operators[link.operator].mix(nodes[link.source], row))
        output = nodes.pop(links[-1].target)
        ctx.save_for_backward(weights, *nodes.values())
        ctx.names, ctx.links, ctx.operators = list(nodes), links, operators
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, *tables = ctx.saved_tensors
        nodes = dict(zip(ctx.names, tables, strict=True))
        grads = {ctx.links[-1].target: grad.contiguous()}
        with torch.autocast('cpu', enabled=False):
            for link, row in reversed(list(zip(ctx.links, weights.unbind(), strict=True))):
                if link.source or ctx.needs_input_grad[0]:
                    operator = ctx.operators[link.operator]
                    _add(grads, link.source, operator.mix_transposed(grads[link.target], row))
            grad_weights = _weight_gradients(ctx, nodes, grads) if ctx.needs_input_grad[1] else None
        return grads.get(0), grad_weights, None, None


def _weight_gradients(ctx, nodes: dict[int, Tensor], grads: dict[int, Tensor]) -> Tensor:
    rows: list[Tensor] = [None] * len(ctx.links)
    for index, operator in enumerate(ctx.operators):
        links = [link for link in ctx.links if link.operator == index]
        if not links:
            continue
        sources, targets = ({link[end]: None for link in links} for end in (0, 1))  # ordered, without doubles
        table = _stack([nodes[source] for source in sources], dim=1)
        products = operator.correlate(table, _stack([grads[target] for target in targets], dim=0))  # (I, K, S)
        for link in links:
            position = list(targets).index(link.target), slice(None), list(sources).index(link.source)
            rows[ctx.links.index(link)] = products[position]
    return torch.stack(rows)


def _stack(tables: list[Tensor], dim: int) -> Tensor:
    """``torch.stack`` that does not copy a single table."""
    return torch.stack(tables, dim) if len(tables) > 1 else tables[0].unsqueeze(dim)


def _add(tables: dict[int, Tensor], node: int, part: Tensor) -> None:
    """Sum up what flows into a node; the first part is a tensor that nobody else holds."""
    tables[node] = tables[node].add_(part) if node in tables else part
