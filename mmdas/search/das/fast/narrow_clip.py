"""Clips of cells of affine warps with strengths of their own on every edge, for tables of few columns.

There the taps of a sparse operator cost more than the columns that they move, and no two edges share any. Each warp
takes the cheapest of the forms of :mod:`mmdas.ops.table_maps` and :mod:`mmdas.ops.half_turn`. Frames go through the
whole cell one by one, so that they stay in the processor's cache; nothing but their nodes is kept.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mmdas.ops.half_turn import HalfTurnMap, HalfTurnSpace
from mmdas.ops.table_maps import IdentityMap, SeparableMap, ShiftMap, TableMap, Term, region

Link = tuple[int, int, int]  # source, target, and the edge whose maps it has


def has_narrow_form(theta: Tensor | None) -> bool:
    """Whether warps have a form here: (G, 2, 3) that are diagonal or without shifts, None for the identity."""
    return theta is None or all(_is_diagonal(matrix) or not matrix[:, 2].any() for matrix in theta)


class NarrowOperators:
    """The maps of all frames and edges of a cell for one image size.

    Args:
        theta: for each edge K matrices (G, 2, 3) of ``warp_affine`` in double precision, or None for the identity.
        num_frames: G, the frames beside the reference frame.
        size: (H, W).
        padding: as of ``warp_affine``.
        dtype: of the tables.

    Attributes:
        spaces: of the frames.
        maps: ``maps[frame][edge][k]``.
    """

    def __init__(
        self,
        theta: Sequence[Sequence[Tensor | None]],
        num_frames: int,
        size: Sequence[int],
        padding: str,
        dtype: torch.dtype,
    ) -> None:
        self._size, self._padding, self._dtype = size, padding, dtype
        self._made: dict[tuple, TableMap] = {}
        self._both = HalfTurnSpace(size), HalfTurnSpace(size, mirrored=True)
        self.spaces = [self._both[frame < (num_frames + 1) // 2] for frame in range(num_frames)]
        self.maps = [
            [[self._map(None if matrices is None else matrices[frame], space) for matrices in row] for row in theta]
            for frame, space in enumerate(self.spaces)
        ]

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(space.nbytes for space in self._both) + sum(part.nbytes for part in self._made.values())

    def of_edges(self, positions: Sequence[int]) -> 'NarrowOperators':
        """The same for some of the edges."""
        part = copy.copy(self)
        part.maps = [[maps[position] for position in positions] for maps in self.maps]
        return part

    def _map(self, theta: Tensor | None, space: HalfTurnSpace) -> TableMap:
        turned = theta is not None and not _is_diagonal(theta)
        if theta is not None and turned:
            theta = space.matrix(theta)
        key = (turned, None if theta is None else tuple(theta.flatten().tolist()))
        if key not in self._made:
            self._made[key] = self._make(theta, turned)
        return self._made[key]

    def _make(self, theta: Tensor | None, turned: bool) -> TableMap:
        if theta is None:
            return IdentityMap()
        if turned:
            return HalfTurnMap(theta, self._size, self._padding, self._dtype)
        if self._padding == 'zeros' and theta[0, 0] == theta[1, 1] == 1:
            return ShiftMap(theta, self._size)
        return SeparableMap(theta, self._size, self._padding, self._dtype)


def narrow_clip(table: Tensor, weights: Tensor, links: Sequence[Link], operators: NarrowOperators) -> Tensor:
    """The frames of the last node, differentiable in table and weights any number of times.

    Args:
        table: (H*W, D), of the image.
        weights: (links, K).
        links: what flows into each node, in order of the nodes.
        operators: of the size.

    Returns:
        (G*H*W, D).
    """
    return _NarrowClip.apply(table.contiguous(), weights, links, operators)


class _NarrowClip(Function):
    """All frames, one after the other; a backward pass with a graph of its own goes through the plain sums."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, weights: Tensor, links: Sequence[Link], operators: NarrowOperators) -> Tensor:
        image, factors = table.detach().view(*operators.spaces[0].size, -1), weights.tolist()
        frames, inner = [], []
        for maps, space in zip(operators.maps, operators.spaces, strict=True):
            nodes = _Pass(links, factors, maps, space).nodes(image)
            frames.append(nodes.pop(links[-1][1]))
            inner += [nodes[node] for node in nodes if node]
        ctx.links, ctx.operators, ctx.inner = links, operators, [node for node in nodes if node]
        ctx.save_for_backward(table, weights, *inner)
        return torch.cat(frames).view(-1, table.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        table, weights, *inner = ctx.saved_tensors
        needed = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():
            clip = _plain_clip(table, weights, ctx.links, ctx.operators)
            wanted = [tensor for tensor, need in zip((table, weights), needed, strict=True) if need]
            found = iter(torch.autograd.grad(clip, wanted, grad, create_graph=True))
            return *(next(found) if need else None for need in needed), None, None
        image, factors, tables = table.view(*ctx.operators.spaces[0].size, -1), weights.tolist(), iter(inner)
        of_image, of_weights = torch.zeros_like(image), torch.zeros_like(weights)
        for maps, space, part in zip(
            ctx.operators.maps, ctx.operators.spaces, grad.view(-1, *image.shape), strict=True
        ):
            nodes = {0: image, **{node: next(tables) for node in ctx.inner}}
            gradients = _Pass(ctx.links, factors, maps, space).gradients(nodes, part.contiguous(), needed[0])
            of_image, of_weights = of_image + gradients[0], of_weights + gradients[1]
        return of_image.view_as(table) if needed[0] else None, of_weights, None, None


class _Pass:
    """One frame on its way through the nodes, forward or backward; tables are (H, W, D)."""

    def __init__(
        self,
        links: Sequence[Link],
        factors: Sequence[Sequence[float]],
        maps: Sequence[Sequence[TableMap]],
        space: HalfTurnSpace,
    ) -> None:
        self._links = [
            (source, target, [*zip(maps[edge], row, strict=True)])
            for (source, target, edge), row in zip(links, factors, strict=True)
        ]
        self._space = space

    def nodes(self, image: Tensor) -> dict[int, Tensor]:
        """Tables of all nodes."""
        nodes, entered = {0: image}, _Once(self._space.enter)
        for target in sorted({target for _, target, _ in self._links}):
            total, halves = torch.zeros_like(image), self._space.zeros(image)
            for source, end, parts in self._links:
                for part, factor in parts if end == target else ():
                    if isinstance(part, HalfTurnMap):
                        _add(halves, part.terms(entered(source, nodes)), factor)
                    else:
                        _add(total, part.terms(nodes[source]), factor)
            nodes[target] = total.add_(self._space.leave(halves))
        return nodes

    def gradients(self, nodes: dict[int, Tensor], grad: Tensor, of_image: bool) -> tuple[Tensor | float, Tensor]:
        """Gradients of the image, 0 where it needs none, and of the weights, for that of the last node."""
        grads = {self._links[-1][1]: grad}
        entered, products = _Once(self._space.enter), [grad.new_zeros(0)] * len(self._links)
        for source in sorted(nodes, reverse=True):
            if source or of_image:
                grads[source] = self._pull(source, nodes[source], grads, entered, products)
            else:
                self._correlate(nodes[source], grads, products)
        return grads.get(0, 0.0), torch.stack(products)

    def _pull(
        self, source: int, node: Tensor, grads: dict[int, Tensor], entered: '_Once', products: list[Tensor]
    ) -> Tensor:
        """Gradient of a node by the transposed maps, whose products with it are the gradients of their weights."""
        like = next(iter(grads.values()))  # of a batch of gradients where autograd computes several at once
        total, halves, half_node = torch.zeros_like(like), self._space.zeros(like), self._space.halve(node)
        for row, (start, target, parts) in enumerate(self._links):
            if start != source:
                continue
            products[row] = torch.stack(
                [
                    _add(halves, part.terms(entered(target, grads), transposed=True), factor, half_node)
                    if isinstance(part, HalfTurnMap)
                    else _add(total, part.terms(grads[target], transposed=True), factor, node)
                    for part, factor in parts
                ]
            )
        return total.add_(self._space.leave(halves))

    def _correlate(self, image: Tensor, grads: dict[int, Tensor], products: list[Tensor]) -> None:
        """Gradients of the weights of what leaves an image that needs none itself."""
        entered, halved = self._space.enter(image), _Once(self._space.halve)
        for row, (source, target, parts) in enumerate(self._links):
            if source:
                continue
            products[row] = torch.stack(
                [
                    _inner(part.terms(entered), halved(target, grads))
                    if isinstance(part, HalfTurnMap)
                    else _inner(part.terms(image), grads[target])
                    for part, _ in parts
                ]
            )


class _Once:
    """A function of the tables of nodes that is called once for each node."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._made: dict[int, Tensor] = {}

    def __call__(self, node: int, tables: dict[int, Tensor]) -> Tensor:
        if node not in self._made:
            self._made[node] = self._function(tables[node])
        return self._made[node]


def _plain_clip(table: Tensor, weights: Tensor, links: Sequence[Link], operators: NarrowOperators) -> Tensor:
    """The same as sums that autograd knows."""
    frames = []
    for maps, space in zip(operators.maps, operators.spaces, strict=True):
        nodes: dict[int, Tensor] = {0: table.view(*space.size, -1)}
        for (source, target, edge), row in zip(links, weights, strict=True):
            terms = [
                w * _Apply.apply(nodes[source], part, space, False) for w, part in zip(row, maps[edge], strict=True)
            ]
            nodes[target] = sum(terms, start=nodes[target]) if target in nodes else sum(terms[1:], start=terms[0])
        frames.append(nodes[links[-1][1]])
    return torch.cat(frames).view(-1, table.shape[1])


class _Apply(Function):
    """A map or its transposed map, each of which is the derivative of the other."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, part: TableMap, space: HalfTurnSpace, transposed: bool) -> Tensor:
        ctx.part, ctx.space, ctx.transposed = part, space, transposed
        table = table.detach().contiguous()
        if isinstance(part, HalfTurnMap):
            halves = space.zeros(table)
            _add(halves, part.terms(space.enter(table), transposed), 1.0)
            return space.leave(halves)
        total = torch.zeros_like(table)
        _add(total, part.terms(table, transposed), 1.0)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return _Apply.apply(grad, ctx.part, ctx.space, not ctx.transposed), None, None, None


def _is_diagonal(theta: Tensor) -> bool:
    return not (theta[0, 1] or theta[1, 0])


def _add(total: Tensor, terms: Iterable[Term], factor: float, other: Tensor | None = None) -> Tensor:
    """Add a map times a factor to a total; return its inner product with another table, or 0."""
    product = total.new_zeros(())
    for place, part, coefficient in terms:
        region(total, place).add_(part, alpha=factor * coefficient)
        if other is not None:
            product = product + coefficient * _dot(part, region(other, place))
    return product


def _inner(terms: Iterable[Term], other: Tensor) -> Tensor:
    """Inner product of a map with another table."""
    return sum((factor * _dot(part, region(other, place)) for place, part, factor in terms), start=other.new_zeros(()))


def _dot(first: Tensor, second: Tensor) -> Tensor:
    if first.is_contiguous() and second.is_contiguous():
        return torch.dot(first.view(-1), second.view(-1))
    return (first * second).sum()
