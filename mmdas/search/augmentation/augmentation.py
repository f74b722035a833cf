"""A policy as a function on batches."""

from dataclasses import replace

import torch
from torch import Tensor

from .apply import IGNORE_INDEX, apply_drawn
from .policy import AugmentPolicy
from .sampler import PolicySampler


class Augmentation:
    """Augment images, and label maps with them, as a policy says.

    Args:
        policy: what is drawn.
        ignore_index: label of the places that no pixel comes to. Default: 255.

    Shape:
        images (N, C, H, W) in [0, 1], RGB or grey for operations that read grey, and labels (N, 1, H, W) or None ->
        the same, new ones where something changes. Each image draws for itself.

    Example:
        >>> augment = Augmentation(AugmentPolicy.load('policy.json'))
        >>> images, labels = augment(images, labels)
    """

    def __init__(self, policy: AugmentPolicy, ignore_index: int = IGNORE_INDEX) -> None:
        self.policy = policy
        self.canvas = replace(policy.canvas, ignore_index=ignore_index)
        self._samplers: dict[int, PolicySampler] = {}

    def sampler(self, progress: float) -> PolicySampler:
        """What draws at a place of the training, see :meth:`AugmentPolicy.at`."""
        part = self.policy.part(progress)
        if part not in self._samplers:
            self._samplers[part] = PolicySampler(self.policy.at(progress))
        return self._samplers[part]

    def __call__(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        progress: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Draw and apply.

        Args:
            images, labels: the batch.
            progress: part of the training that is done, in [0, 1], for a policy with a trajectory. Default: 0.
            generator: of the draws, on the CPU. Default: PyTorch's global one.
        """
        drawn = self.sampler(progress)(len(images), generator)
        return apply_drawn(images, labels, drawn, self.canvas)
