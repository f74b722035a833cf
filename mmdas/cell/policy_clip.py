"""A policy as a module: image to clip."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdas.ops.affine import compose, warp_affine
from mmdas.ops.clip import clip_around, image_to_table, table_to_time_major, time_major_to_clip
from mmdas.ops.warp_operator import WarpOperator

from .frame_transform import FrameTransform, check_floating_point
from .linear_clip import fits, is_linear, is_recorded
from .policy import Policy
from .search_space import draw_index, get_operation
from .size_cache import PATIENCE, SizeCache
from .topology import NUM_INPUTS, canonical_source, evaluate, steps

# With more paths than that, one edge after the other is less work.
MAX_PATHS = 64

Path = tuple[tuple[str, float], ...]  # operations with their strengths, from the image to the clip
Warp = tuple[Tensor | None, float]  # matrices of the frames beside the reference frame, and the weight


class PolicyClip(nn.Module):
    """Apply a policy to a batch of images.

    Where all operations are affine warps, those along each path through the graph are composed to a single warp, so
    that every frame is a weighted sum of warps of the image that were sampled once: it is less blurred, and loses less
    at the borders, than by warp after warp as in the cell of the search. Other policies, and those with more than
    ``MAX_PATHS`` paths, apply one operation after the other and equal the cell whose mixtures are one-hot on them.

    On the processor the warps of a size that comes again are kept as a sparse operator. In training that is at once,
    so that crops should have one size; in evaluation after some images of that size, which changes a clip by rounding
    errors.

    Args:
        policy: what to apply.
        mean, std: normalisation of the images, see :class:`FrameTransform`.

    Shape:
        images (B, C, H, W) -> clip (B, T*C, H, W).
    """

    def __init__(self, policy: Policy, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> None:
        super().__init__()
        self.policy = policy
        self.transform = FrameTransform(policy.num_frames, policy.ramp, policy.padding, mean, std, policy.seed)
        self.edges = policy.needed_edges
        self.pairs = [(edge.source, edge.target) for edge in self.edges]
        self.operations = [get_operation(edge.operation) for edge in self.edges]
        strengths = torch.tensor([edge.strength for edge in self.edges], dtype=torch.float32)
        self.register_buffer('strengths', strengths, persistent=False)
        self.paths = self._find_paths() if is_linear(self.operations) else None
        self._operators: SizeCache[WarpOperator] = SizeCache()
        self._warps: SizeCache[list[Warp]] = SizeCache()

    @property
    def num_frames(self) -> int:
        """Frames T of a clip."""
        return self.policy.num_frames

    def forward(self, images: Tensor) -> Tensor:
        if self.num_frames == 1:
            return images
        if self.paths is None:
            return self._one_after_the_other(images)
        check_floating_point(images)
        operator = self._operator(images)
        others = self._sample(images) if operator is None else self._gather(images, operator)
        reference = images if self.policy.node_reduction == 'mean' else images * sum(self.paths.values())
        return clip_around(reference, others)

    def _find_paths(self) -> dict[Path, float] | None:
        """Paths from the image to the clip, identities left out, with their weights; None for more than MAX_PATHS."""
        nodes: dict[int, dict[Path, float]] = {node: {(): 1.0} for node in range(NUM_INPUTS)}
        for target, positions in steps(self.pairs, self.policy.num_nodes):
            share = 1 / len(positions) if self.policy.node_reduction == 'mean' else 1.0
            nodes[target] = {}
            for position in positions:
                edge = self.edges[position]
                step = () if self.operations[position].is_identity else ((edge.operation, edge.strength),)
                for path, weight in nodes[edge.source].items():
                    nodes[target][path + step] = nodes[target].get(path + step, 0.0) + share * weight
            if len(nodes[target]) > MAX_PATHS:
                return None
        return nodes[target]

    def warps(self, size: tuple[int, int]) -> list[Warp]:
        """The composed warps of all paths.

        Args:
            size: (H, W) of the images.

        Returns:
            For each path its matrices (T-1, 2, 3) in double precision, None for the identity, and its weight.
        """
        warps: list[Warp] = []
        for path, weight in self.paths.items():
            theta = None
            for name, strength in path:
                step = self.transform.matrices(get_operation(name), strength, size)
                theta = step if theta is None else compose(theta, step)
            warps.append((theta, weight))
        return warps

    def _operator(self, images: Tensor) -> WarpOperator | None:
        """The sum of all warps of an image size, or None where they are sampled."""
        if images.requires_grad or not fits(images, 4 * len(self.paths), self.num_frames):
            return None

        def build() -> WarpOperator:
            size = images.shape[-2:]
            theta, weights = zip(*self.warps(size), strict=True)
            operator = WarpOperator(
                theta, self.num_frames - 1, size, self.transform.padding, images.dtype, one_image=True
            )
            return operator.fold(weights)

        # Crops of a training have one size, and a resumed training goes on exactly; images of a test may all differ.
        patience = 0 if self.training else PATIENCE
        return self._operators.get((images.shape[-2:], images.dtype), build, patience)

    def _gather(self, images: Tensor, operator: WarpOperator) -> Tensor:
        """The frames beside the reference frame, (T-1, B, C, H, W), by the operator."""
        return table_to_time_major(operator.apply(image_to_table(images).contiguous()), images.shape)

    def _sample(self, images: Tensor) -> Tensor:
        """The same, warp by warp."""
        folded = images.flatten(0, 1).expand(self.num_frames - 1, -1, -1, -1)
        precision = torch.promote_types(images.dtype, torch.float32)
        size = images.shape[-2:]
        warps = self.warps(size) if is_recorded() else self._warps.get((size, images.device), lambda: self.warps(size))
        parts = [
            weight * (folded if theta is None else warp_affine(folded, theta.to(precision), self.transform.padding))
            for theta, weight in warps
        ]
        return sum(parts[1:], start=parts[0]).unflatten(1, images.shape[:2])

    def _one_after_the_other(self, images: Tensor) -> Tensor:
        frames = images.unsqueeze(0).expand(self.num_frames, *images.shape)
        clip = evaluate(frames, self.pairs, self._edge_output, self.policy.num_nodes, self.policy.node_reduction)
        return time_major_to_clip(clip)

    def _edge_output(self, position: int, frames: Tensor) -> Tensor:
        edge = self.edges[position]
        draw = draw_index(canonical_source(edge.source), edge.operation)
        return self.transform(frames, self.operations[position], self.strengths[position], draw)
