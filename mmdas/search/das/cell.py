"""The relaxed cell of the search (DAS, Casarin et al., CVPR 2024, Sec. 3)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from mmdas.ops.clip import clip_around, other_frames
from mmdas.search.base import Searchable

from .alignment import FUSION, POOLING, AlignedUse, refuse_deformations, unwarp
from .fast.cell_operators import CellOperators
from .fast.linear_clip import is_linear
from .frame_transform import FrameTransform, check_floating_point
from .mixture import Mixture
from .operation import Size, check_size
from .operation_weights import with_weights_of_their_own
from .pixels import Pixels
from .policy import MAX_FRAMES, MAX_NODES, MAX_SEED, Policy, PolicyEdge, PolicyError
from .search_space import build_space, draw_index, split_ranges
from .strengths import Strengths
from .topology import NUM_INPUTS, REDUCTIONS, all_edges, canonical_source, evaluate, steps


class DASCell(Mixture, Strengths, Searchable):
    """Image to clip through a DAG whose edges are softmax mixtures of frame transformations.

    Edge (j -> i) computes sum_k softmax(alpha_ji)_k op_k(clip of j); a node reduces its incoming edges; the last node
    is the clip. The plain loop over edges and operations defines what the cell computes; where all operations are
    affine warps of fixed strength, sparse operators compute the same faster (:mod:`mmdas.search.das.fast`).

    The search decides edge by edge: :meth:`choose` makes a mixture one-hot, :meth:`keep_edges` prunes a node. Both
    decisions are buffers, so a checkpoint holds them; :meth:`to_policy` is there when all are made.

    Args:
        num_frames: T >= 1. With one frame the clip is the image.
        space: ``'paper'``, ``'flips'``, ``'large'`` or names of operations, also of your own, see
            :func:`mmdas.search.das.register_operation`.
        num_nodes: intermediate nodes; 4 give 14 edges.
        ramp: ``'signed'`` or ``'mirrored'``.
        strength: ``'fixed'`` (drawn once with ``seed``) or ``'learned'`` (parameters that start at the same draws and
            stay within the ranges).
        share_strength: one strength per operation for all edges, which lets all edges that leave a node share the
            transformed frames; otherwise one per edge.
        ranges: name of operation -> (low, high), in place of the table's range.
        padding: ``'zeros'``, ``'border'`` or ``'reflection'``.
        node_reduction: ``'mean'`` or ``'sum'``.
        mean, std, max_value, channel_order: what the images are, see :class:`Pixels`.
        seed: >= 0, of the strengths, the first logits and the random operations in evaluation mode.
        num_strengths: strengths of an operation that an edge chooses from, one out of each of so many equal parts of
            its range. With 1 (the authors') the one draw decides which way and how far an operation goes.
        relaxation: what an edge that is not decided computes in training. ``'softmax'`` (the paper's): the mixture of
            all its operations. ``'gumbel'``: one operation, drawn anew in every pass with the probabilities of the
            mixture, its gradient that of a Gumbel softmax of temperature 1 (straight through; Jang et al., ICLR 2017;
            GDAS, Dong and Yang, CVPR 2019). The model is then trained on clips like those of policies, and not on sums
            of faint copies of the image. In evaluation it is the mixture.
        reference_size: (H, W) in whose sides ``ranges`` count, so that a shift is as many pixels in images of every
            size. None (default): the size of each image; the data preprocessors fill in that of the training's crops.

    Shape:
        images (B, C, H, W) -> clip (B, T*C, H, W), with derivatives of every order in logits and images.

    Raises:
        ValueError: for any option outside what is listed.
    """

    def __init__(
        self,
        num_frames: int,
        space: str | Sequence[str] = 'paper',
        num_nodes: int = 4,
        ramp: str = 'signed',
        strength: str = 'fixed',
        share_strength: bool = False,
        ranges: Mapping[str, Sequence[float]] | None = None,
        padding: str = 'zeros',
        node_reduction: str = 'mean',
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        num_strengths: int = 1,
        relaxation: str = 'softmax',
        max_value: float = 255.0,
        channel_order: str = 'rgb',
        reference_size: Size | None = None,
    ) -> None:
        super().__init__()
        if node_reduction not in REDUCTIONS:
            raise ValueError(f'node_reduction must be one of {REDUCTIONS}, got {node_reduction!r}')
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f'seed must be at least 0 and at most {MAX_SEED}, got {seed}')
        if num_frames > MAX_FRAMES or num_nodes > MAX_NODES:  # not at the end of the search
            raise ValueError(
                f'a policy has at most {MAX_FRAMES} frames and {MAX_NODES} nodes, got num_frames={num_frames} and '
                f'num_nodes={num_nodes}'
            )
        operations, self.operation_weights = with_weights_of_their_own(build_space(space, ranges, num_frames))
        self.operations = split_ranges(operations, num_strengths)
        self.operation_names = list(_numbered([operation.name for operation in self.operations]))
        self.edges = all_edges(num_nodes)
        self.num_frames = num_frames
        self.num_nodes = num_nodes
        self.node_reduction = node_reduction
        self.share_strength = share_strength
        self.seed = seed
        self.transform = FrameTransform(num_frames, ramp, padding, seed, check_size(reference_size))
        self.pixels = Pixels(mean, std, max_value, channel_order)
        self.reads_colours = not is_linear(self.operations)
        generator = torch.Generator().manual_seed(seed)
        self._init_mixture(relaxation, generator)
        self._init_strengths(strength, 1 if share_strength else len(self.edges), generator)
        self._init_decisions()
        self._operators = CellOperators()

    @property
    def reference_size(self) -> Size | None:
        """(H, W) in whose sides shifts count."""
        return self.transform.reference_size

    @reference_size.setter
    def reference_size(self, size: Size | None) -> None:
        self.transform.reference_size = check_size(size)

    def forward(self, images: Tensor, seldom: bool = False, size: Size | None = None) -> Tensor:
        """Make the clip.

        Args:
            images: (B, C, H, W), or feature maps of them where all operations are warps.
            seldom: whether images of this size hardly come again, so that nothing is kept for it.
            size: (H, W) in pixels of what feature maps show. Default: their own.
        """
        if self.num_frames == 1:
            return images
        check_floating_point(images)
        clip = None if seldom else self._operators.clip(self, images, size)
        return self._loop(images, size) if clip is None else clip

    def _loop(self, images: Tensor, size: Size | None = None) -> Tensor:
        """The plain loop over edges and operations, which every other path equals."""
        source = self.pixels.scale(images) if self.reads_colours else images
        frames = source.unsqueeze(0).expand(self.num_frames, *source.shape)
        weights, strengths = self.pass_weights(), self.strengths()
        transformed: dict[tuple[int, int], Tensor] = {}
        positions = self.present_edges()
        edges = [self.edges[position] for position in positions]

        def edge_output(index: int, source_frames: Tensor) -> Tensor:
            if not self.share_strength:
                transformed.clear()  # other edges have other strengths
            position = positions[index]
            row = 0 if self.share_strength else position
            source = canonical_source(self.edges[position][0])
            output = torch.zeros_like(source_frames)
            for column in self.present_operations(position):
                key = (source, column)  # edges that share their strengths share the transformed frames
                if key not in transformed:
                    operation, strength = self.operations[column], strengths[row, column]
                    draw = draw_index(source, operation.name)
                    transformed[key] = self.transform(source_frames, operation, strength, draw, self.pixels.zero, size)
                output = output + weights[position, column] * transformed[key]
            return output

        def edge_share(index: int, source_share: Tensor) -> Tensor:
            return source_share * weights[positions[index], self.present_operations(positions[index])].sum()

        others = other_frames(evaluate(frames, edges, edge_output, self.num_nodes, self.node_reduction))
        others = (self.pixels.unscale(others) if self.reads_colours else others).to(images.dtype)
        share = evaluate(weights.new_ones(()), edges, edge_share, self.num_nodes, self.node_reduction)
        return clip_around((images * share).to(images.dtype), others)

    @property
    def grows_with_image(self) -> bool:
        """Whether frames of a larger image may be displaced further than those of a smaller one."""
        return any(operation.grows_with_image for operation in self.operations)

    def check_alignable(self, use: AlignedUse = POOLING) -> None:
        """Check that each path from the image to the clip can be undone, with its weight.

        Raises:
            PolicyError: if an operation is a deformation, or features are to be aligned: a frame of mixtures has no
                single warp.
        """
        if use is FUSION:
            raise PolicyError(
                'aligned=True of the fusion needs one warp for each frame, but frames of a search are mixtures of '
                'many; search without it and with edges_per_node=1 of the selection, as mmdas convert writes it, and '
                'train the chain that is found with it'
            )
        refuse_deformations(self.operations, use)

    def unwarp(self, maps: Tensor, size: Size, canvas: Size) -> Tensor:
        """Carry maps that lie on the frames back to where the image is, see :meth:`PolicyClip.unwarp`.

        The graph is gone through from the clip to the image, with the inverse of every warp. Where mixtures are one-hot
        and every node has one edge, that is the inverse of the frames' warps; otherwise it is the mean over all paths.
        """
        weights, strengths, positions = self.last_weights(), self.strengths().tolist(), self.present_edges()
        order = steps([self.edges[position] for position in positions], self.num_nodes)
        shares = {target: 1 / len(edges) if self.node_reduction == 'mean' else 1.0 for target, edges in order}
        back = {NUM_INPUTS + self.num_nodes - 1: maps}

        @cache
        def matrices(row: int, column: int) -> Tensor:
            return self.transform.matrices(self.operations[column], strengths[row][column], size)

        for source in (*reversed(range(NUM_INPUTS, NUM_INPUTS + self.num_nodes - 1)), 0):
            # Warps are linear: what one operation of one strength takes back is summed before it.
            sums: dict[tuple[int, int], Tensor | float] = {}
            for position in positions:
                start, target = self.edges[position]
                if canonical_source(start) != source or target not in back:
                    continue
                for column in self.present_operations(position):
                    key = (0 if self.share_strength else position, column)
                    sums[key] = sums.get(key, 0.0) + shares[target] * weights[position, column] * back[target]
            warped = [key for key in sums if self.operations[key[1]].geometric]
            parts = [total for key, total in sums.items() if key not in warped]
            if warped:
                stacked = torch.stack([sums[key] for key in warped])  # type: ignore[misc]  # tensors by now
                theta = torch.stack([matrices(*key) for key in warped])
                parts.append(unwarp(stacked, theta, size, canvas).sum(dim=0))
            if parts:
                back[source] = sum(parts[1:], start=parts[0])  # type: ignore[assignment]
        return back[0]

    def report(self) -> dict[str, float]:
        """Entropy in nats and mixture weights of all edges, such as ``edge_0_2/rotate``."""
        weights, entropy = self.weights().detach().tolist(), self.entropy()
        numbers = {'mean_entropy': entropy.mean().item()}
        for (source, target), row, value in zip(self.edges, weights, entropy.tolist(), strict=True):
            name = f'edge_{source}_{target}'
            numbers[f'{name}/entropy'] = value
            numbers.update({f'{name}/{part}': weight for part, weight in zip(self.operation_names, row, strict=True)})
        return numbers

    def check_search(self, selected: bool) -> None:
        """Refuse clips of one frame, and a search that would leave the mixtures as they are.

        Raises:
            ValueError: naming the setting.
        """
        if self.num_frames == 1:
            raise ValueError('a clip of one frame is the image; set num_frames to 2 or more, or there is no search')
        if not selected:
            raise ValueError(
                'the mixtures of a DASCell end in a policy by a selection; set train_cfg.selection, such as '
                "dict(type='mmdas.PerturbationSelection')"
            )

    def to_policy(self, origin: Mapping | None = None) -> Policy:
        """The discretised cell.

        Raises:
            RuntimeError: while an edge that is kept has no chosen operation.
        """
        positions = self.present_edges()
        chosen, strengths = self.chosen.tolist(), self.strengths().detach().tolist()
        undecided = [self.edges[position] for position in positions if chosen[position] < 0]
        if undecided:
            raise RuntimeError(f'the edges {undecided} have no chosen operation yet; run a selection first')
        edges = []
        for position in positions:
            column = chosen[position]
            strength = strengths[0 if self.share_strength else position][column]
            edges.append(PolicyEdge(*self.edges[position], self.operations[column].name, strength))
        return Policy(
            num_frames=self.num_frames,
            num_nodes=self.num_nodes,
            edges=tuple(edges),
            ramp=self.transform.ramp,
            padding=self.transform.padding,
            node_reduction=self.node_reduction,
            operations=tuple(dict.fromkeys(operation.name for operation in self.operations)),
            seed=self.seed,
            reference_size=self.reference_size,
            origin=dict(origin or {}),
        )

    def extra_repr(self) -> str:
        return f'operations={self.operation_names}, edges={len(self.edges)}, share_strength={self.share_strength}'


def _numbered(names: Sequence[str]) -> Iterator[str]:
    """The names, those that occur several times with a number from 1 on."""
    totals, seen = Counter(names), Counter[str]()
    for name in names:
        seen[name] += 1
        yield name if totals[name] == 1 else f'{name}_{seen[name]}'
