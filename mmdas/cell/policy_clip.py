"""A policy as a module: image to clip."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdas.ops.clip import time_major_to_clip

from .frame_transform import FrameTransform
from .policy import Policy
from .search_space import draw_index, get_operation
from .topology import canonical_source, evaluate


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
        strengths = torch.tensor([edge.strength for edge in policy.edges], dtype=torch.float32)
        self.register_buffer('strengths', strengths, persistent=False)

    @property
    def num_frames(self) -> int:
        """Frames T of a clip."""
        return self.policy.num_frames

    def forward(self, images: Tensor) -> Tensor:
        if self.num_frames == 1:
            return images
        frames = images.unsqueeze(0).expand(self.num_frames, *images.shape)
        edges = [(edge.source, edge.target) for edge in self.policy.edges]
        clip = evaluate(frames, edges, self._edge_output, self.policy.num_nodes, self.policy.node_reduction)
        return time_major_to_clip(clip)

    def _edge_output(self, position: int, frames: Tensor) -> Tensor:
        edge = self.policy.edges[position]
        draw = draw_index(canonical_source(edge.source), edge.operation)
        return self.transform(frames, get_operation(edge.operation), self.strengths[position], draw)
