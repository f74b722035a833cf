"""What Faster AutoAugment searches: sub-policies of weighted operations (Hataya et al., ECCV 2020)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.search.augmentation import AugmentPolicy, AugmentSearch, Canvas, Stage, SubPolicy
from mmdas.search.augmentation.ranged import straight_through

from .space import FASTER_AA_SPACE, STEPPED

# A sigmoid's slope is at most a quarter: at 0.5 its value then moves at the rate of the optimiser.
RATE_OF_SIGMOIDS = 4.0


class FasterAASearch(AugmentSearch):
    """Sub-policies of stages; each stage has a weight, a probability and a magnitude for each operation.

    In the search an image gets one sub-policy, all alike. A stage gives the sum of its operations, weighted by
    softmax(w / temperature). An operation is applied to a part of the image that is a relaxed Bernoulli draw. In a
    training, and in the policy, a stage draws one operation by its weights and applies it with its probability.

    A sum of images that were warped in different ways has no label map. So with label maps a stage draws one operation
    and whether it is applied already in the search, and the label map follows. Its gradient is that of the sum
    (straight-through Gumbel-softmax, Jang et al., ICLR 2017).

    Magnitudes learn through the operations; where these have steps (solarize, posterize), straight through.

    Args:
        sub_policies: how many. Default: 10.
        stages: of each. Default: 2.
        temperature: of the weights. Default: 0.05.
        relaxation: temperature of the relaxed Bernoulli draws. Default: 0.1.

    Attributes:
        weights: (S, D, K), w, of K operations in D stages of S sub-policies; uniform in [0, 1] at the start.
        probability_logits, magnitude_logits: (S, D, K); probabilities, and shares of the range of magnitudes, are their
            sigmoids, uniform at the start.

    Raises:
        ValueError: for a number that is not positive.
    """

    space = FASTER_AA_SPACE

    def __init__(
        self, sub_policies: int = 10, stages: int = 2, temperature: float = 0.05, relaxation: float = 0.1
    ) -> None:
        super().__init__()
        given = dict(sub_policies=sub_policies, stages=stages, temperature=temperature, relaxation=relaxation)
        for name, value in given.items():
            if value <= 0:
                raise ValueError(f'FasterAASearch.{name} must be positive, got {value}')
        self.temperature, self.relaxation = temperature, relaxation
        shape = (sub_policies, stages, len(self.space))
        self.weights = nn.Parameter(torch.rand(shape))
        self.probability_logits = nn.Parameter(torch.rand(shape).logit(eps=1e-3))
        self.magnitude_logits = nn.Parameter(torch.rand(shape).logit(eps=1e-3))

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations of the space."""
        return tuple(entry.name for entry in self.space)

    @property
    def log_shares(self) -> Tensor:
        """(S, D, K), logarithms of the weights of the sums, which are the probabilities of the draws."""
        return (self.weights / self.temperature).log_softmax(dim=-1)

    @property
    def probabilities(self) -> Tensor:
        """(S, D, K), that a drawn operation is applied."""
        return self.probability_logits.sigmoid()

    @property
    def magnitudes(self) -> Tensor:
        """(S, D, K), shares of the ranges of magnitudes."""
        return self.magnitude_logits.sigmoid()

    def policy_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Probabilities and magnitudes learn as fast as if they were the parameters themselves, at 0.5."""
        return [([self.weights], 1.0), ([self.probability_logits, self.magnitude_logits], RATE_OF_SIGMOIDS)]

    def forward(self, images: Tensor, labels: Tensor | None, canvas: Canvas) -> tuple[Tensor, Tensor | None]:
        """Images and labels with one sub-policy for each image."""
        count, stages = self.weights.shape[:2]
        chosen = torch.randint(count, (len(images),)).to(self.weights.device)
        for stage in range(stages):
            images, labels = self._stage(images, labels, chosen, stage, canvas)
        return images, labels

    def _stage(
        self, images: Tensor, labels: Tensor | None, chosen: Tensor, stage: int, canvas: Canvas
    ) -> tuple[Tensor, Tensor | None]:
        """The weighted sum over all operations; with labels, of one that is drawn."""
        weights, applied = self._draws(chosen, stage, hard=labels is not None)
        magnitudes = self.magnitudes[chosen, stage]
        total, followed = torch.zeros_like(images), labels
        for place, entry in enumerate(self.space):
            changed, moved = entry.apply(images, labels, magnitudes[:, place], canvas)
            if entry.name in STEPPED:
                changed = straight_through(changed, magnitudes[:, place])
            part, weight = (tensor[:, place, None, None, None].to(images.dtype) for tensor in (applied, weights))
            total = total + weight * torch.lerp(images, changed, part)
            if labels is not None and entry.operation.geometric:
                assert moved is not None and followed is not None
                followed = torch.where((weight * part).detach() > 0.5, moved, followed)
        return total, followed

    def _draws(self, chosen: Tensor, stage: int, hard: bool) -> tuple[Tensor, Tensor]:
        """Weights of all operations and the part of the image that each is applied to, both (N, K)."""
        logits = self.log_shares[chosen, stage]
        noise = torch.rand(logits.shape).logit(eps=1e-6).to(logits)
        applied = ((self.probability_logits[chosen, stage] + noise) / self.relaxation).sigmoid()
        if not hard:
            return logits.exp(), applied
        uniform = torch.rand(logits.shape).clamp(1e-6, 1 - 1e-6).to(logits)
        soft = (logits - (-uniform.log()).log()).softmax(dim=-1)
        drawn = F.one_hot(soft.argmax(dim=-1), soft.shape[-1])
        # In this order the values are exactly 0 and 1.
        return drawn + (soft - soft.detach()), (applied > 0.5) + (applied - applied.detach())

    def report(self) -> dict[str, float]:
        """Mean probability, and share, of being drawn, of each operation."""
        shares = self.log_shares.detach().exp().mean(dim=(0, 1)).tolist()
        return {
            'probability': float((self.log_shares.exp() * self.probabilities).sum(dim=-1).mean().detach()),
            **{f'share/{name}': share for name, share in zip(self.operations, shares, strict=True)},
        }

    def to_policy(self, origin: Mapping | None = None) -> AugmentPolicy:
        """The sub-policies, each as likely as the others; their stages draw one operation."""
        shares, probabilities, magnitudes = (
            tensor.detach().tolist() for tensor in (self.log_shares.exp(), self.probabilities, self.magnitudes)
        )
        return AugmentPolicy(
            tuple(
                SubPolicy(tuple(Stage(self._choices(*stage)) for stage in zip(*sub, strict=True)))
                for sub in zip(shares, probabilities, magnitudes, strict=True)
            ),
            origin={**(origin or {}), 'method': 'Faster AutoAugment'},
        )

    def _choices(self, shares: list[float], probabilities: list[float], magnitudes: list[float]) -> tuple:
        rows = zip(self.space, shares, probabilities, magnitudes, strict=True)
        return tuple(entry.choice(magnitude, probability, share) for entry, share, probability, magnitude in rows)
