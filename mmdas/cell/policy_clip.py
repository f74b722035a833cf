"""A policy as a module: image to clip."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdas.ops.clip import time_major_to_clip
from mmdas.ops.warp_operator import WarpOperator

from .frame_transform import FrameTransform
from .linear_clip import OperatorCache, build_operator, fits, is_linear, linear_clip
from .policy import Policy
from .search_space import draw_index, get_operation
from .topology import NUM_INPUTS, Edge, canonical_source, evaluate, needed_nodes

# Plain passes that cost as much as the making of the operators.
_PATIENCE = 8


class PolicyClip(nn.Module):
    """Apply a policy to a batch of images; equals the cell whose mixtures are one-hot on the policy.

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
        pairs = [(edge.source, edge.target) for edge in policy.edges]
        needed = needed_nodes(pairs, NUM_INPUTS + policy.num_nodes - 1)
        self.edges = [edge for edge in policy.edges if edge.target in needed]
        strengths = torch.tensor([edge.strength for edge in self.edges], dtype=torch.float32)
        self.register_buffer('strengths', strengths, persistent=False)
        self._operators = OperatorCache()

    @property
    def num_frames(self) -> int:
        """Frames T of a clip."""
        return self.policy.num_frames

    def forward(self, images: Tensor) -> Tensor:
        if self.num_frames == 1:
            return images
        operators = self._linear_operators(images)
        return self._loop(images) if operators is None else self._linear(images, operators)

    def _linear_operators(self, images: Tensor) -> list[WarpOperator] | None:
        """Operators of the fast path, one per edge, or None where the plain loop is the way."""
        operations = [get_operation(edge.operation) for edge in self.edges]
        if not is_linear(operations) or not fits(images, operations, self.num_frames):
            return None

        def build() -> list[WarpOperator]:
            return [
                build_operator(self.transform, [operation], [edge.strength], images)
                for operation, edge in zip(operations, self.edges, strict=True)
            ]

        # Crops of a training have one size, and a resumed training goes on exactly; images of a test may all differ.
        patience = 0 if self.training else _PATIENCE
        return self._operators.get((images.shape[-2:], images.dtype), build, patience)

    def _linear(self, images: Tensor, operators: Sequence[WarpOperator]) -> Tensor:
        policy, edges = self.policy, self._pairs()
        weights = images.new_ones(len(edges), 1)
        return linear_clip(images, operators, edges, weights, policy.num_nodes, self.num_frames, policy.node_reduction)

    def _loop(self, images: Tensor) -> Tensor:
        """One edge after the other, which the fast path equals."""
        frames = images.unsqueeze(0).expand(self.num_frames, *images.shape)
        clip = evaluate(frames, self._pairs(), self._edge_output, self.policy.num_nodes, self.policy.node_reduction)
        return time_major_to_clip(clip)

    def _pairs(self) -> list[Edge]:
        return [(edge.source, edge.target) for edge in self.edges]

    def _edge_output(self, position: int, frames: Tensor) -> Tensor:
        edge = self.edges[position]
        draw = draw_index(canonical_source(edge.source), edge.operation)
        return self.transform(frames, get_operation(edge.operation), self.strengths[position], draw)
