"""What DDAS searches: how often images are augmented, and with which operations (Liu et al., ICCV 2021)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from mmdas.search.augmentation import (
    AugmentPolicy,
    AugmentSearch,
    Canvas,
    Choice,
    Drawn,
    Stage,
    SubPolicy,
    TrajectoryPoint,
    apply_drawn,
)

from .space import FIRST, LEVELS, SEQUENCE, ddas_space

# The learning rates of the two levels: 0.005 of the distribution, 0.001 of the probability.
RATE_OF_PROBABILITY = 0.2


class DDASSearch(AugmentSearch):
    """Two levels: the probability sigmoid(t) of augmenting at all, and softmax(a) over operations at their levels.

    An augmented image gets a sequence of operations, drawn independently with replacement. In the search each copy of a
    batch has one sequence, see :class:`mmdas.engine.DDASStep`. The policy at its end is the *trajectory* of the search,
    which a training replays.

    Args:
        levels: of operations with a magnitude, of 10. Default: 0, 2, 10, 14, those of CIFAR; (7, 14) on ImageNet.
        probability: of augmenting at the start, in (0, 1). Default: 0.35.
        exploration: share of sequences that are drawn uniformly, the others from the distribution. Default: 0.9999.
        points: of the trajectory. Default: 20, the epochs of the published search.

    Attributes:
        logits: (K,), a, of the K operations at their levels; zero at the start.
        probability_logit: (), t.

    Raises:
        ValueError: for a number outside these ranges.
    """

    def __init__(
        self,
        levels: Sequence[float] = LEVELS,
        probability: float = FIRST,
        exploration: float = 0.9999,
        points: int = 20,
    ) -> None:
        super().__init__()
        if not 0 < probability < 1:
            raise ValueError(f'DDASSearch.probability must be in (0, 1), got {probability}')
        if not 0 <= exploration <= 1:
            raise ValueError(f'DDASSearch.exploration must be in [0, 1], got {exploration}')
        if points < 1:
            raise ValueError(f'DDASSearch.points must be at least 1, got {points}')
        self.choices: tuple[Choice, ...] = ddas_space(levels)
        self.exploration, self.points = exploration, points
        self.logits = nn.Parameter(torch.zeros(len(self.choices)))
        self.probability_logit = nn.Parameter(torch.tensor(math.log(probability / (1 - probability))))
        self.noted: Tensor
        self.trajectory: Tensor
        self.register_buffer('noted', torch.zeros((), dtype=torch.long))
        self.register_buffer('trajectory', torch.zeros(points, len(self.choices) + 1))
        self._sequence: Sequence[int] | None = None

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations of the space."""
        return tuple(dict.fromkeys(choice.operation for choice in self.choices))

    @property
    def probability(self) -> Tensor:
        """(), of augmenting an image."""
        return self.probability_logit.sigmoid()

    @property
    def distribution(self) -> Tensor:
        """(K,), of the operations at their levels."""
        return self.logits.softmax(dim=0)

    def policy_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """The probability learns at a fifth of the rate."""
        return [([self.logits], 1.0), ([self.probability_logit], RATE_OF_PROBABILITY)]

    def draw_sequences(self, count: int) -> Tensor:
        """(count, 2), sequences of operations for the copies of a batch, on the CPU."""
        uniform = torch.full((len(self.choices),), 1.0)
        drawn = torch.multinomial(uniform, count * SEQUENCE, replacement=True).view(count, SEQUENCE)
        found = self.distribution.detach().float().cpu()
        learned = torch.multinomial(found, count * SEQUENCE, replacement=True).view(count, SEQUENCE)
        return torch.where(torch.rand(count, 1) < self.exploration, drawn, learned)

    def sequence_probabilities(self, sequences: Tensor) -> Tensor:
        """(count,), of sequences (count, 2): the product of those of their operations, with its gradient."""
        return self.distribution[sequences.to(self.logits.device)].prod(dim=1)

    @contextmanager
    def only(self, sequence: Sequence[int]) -> Iterator[None]:
        """Give all images this sequence of operations for a while; an empty one leaves them as they are."""
        before, self._sequence = self._sequence, sequence
        try:
            yield
        finally:
            self._sequence = before

    def forward(self, images: Tensor, labels: Tensor | None, canvas: Canvas) -> tuple[Tensor, Tensor | None]:
        """Images and labels with the sequence that is set, or else with what each image draws from the policy."""
        count = len(images)
        drawn = self._own(count) if self._sequence is None else self._same(self._sequence, count)
        return apply_drawn(images, labels, drawn, canvas)

    def _own(self, count: int) -> Drawn:
        found = self.distribution.detach().float().cpu()
        indices = torch.multinomial(found, count * SEQUENCE, replacement=True).view(count, SEQUENCE)
        indices = torch.where(torch.rand(count, 1) < float(self.probability), indices, -1)
        return self._drawn(indices)

    def _same(self, sequence: Sequence[int], count: int) -> Drawn:
        return self._drawn(torch.tensor(sequence, dtype=torch.long).view(1, -1).expand(count, -1))

    def _drawn(self, indices: Tensor) -> Drawn:
        """Operations and magnitudes of places in the space (N, S), with random signs."""
        names = self.operations
        table = torch.tensor([names.index(choice.operation) for choice in self.choices])
        strengths = torch.tensor([float(choice.bounds[0]) for choice in self.choices])
        signed = torch.tensor([choice.signed for choice in self.choices])
        places = indices.clamp(min=0)
        magnitudes = strengths[places]
        if signed[places].any():
            negative = signed[places] & (torch.rand(indices.shape) < 0.5)
            magnitudes = torch.where(negative, -magnitudes, magnitudes)
        return Drawn(names, torch.where(indices < 0, -1, table[places]), magnitudes)

    def note_progress(self, progress: float) -> None:
        """Note what holds at the end of each equal part of the search."""
        while int(self.noted) < min(int(progress * self.points + 1e-6), self.points):
            point = torch.cat([self.probability.detach().view(1), self.distribution.detach()])
            self.trajectory[int(self.noted)] = point.float()
            self.noted += 1

    def report(self) -> dict[str, float]:
        """The probability, how even the distribution is (1: uniform), and the share of each operation."""
        found = self.distribution.detach()
        entropy = float(-(found * found.clamp(min=1e-30).log()).sum()) / math.log(len(found))
        shares = dict.fromkeys(self.operations, 0.0)
        for choice, share in zip(self.choices, found.tolist(), strict=True):
            shares[choice.operation] += share
        return {
            'probability': float(self.probability.detach()),
            'evenness': entropy,
            **{f'share/{name}': share for name, share in shares.items()},
        }

    def to_policy(self, origin: Mapping | None = None) -> AugmentPolicy:
        """The trajectory so far, and what holds now."""
        weights = [round(share, 8) for share in self.distribution.detach().tolist()]
        choices = tuple(replace(choice, weight=weight) for choice, weight in zip(self.choices, weights, strict=True))
        points = tuple(
            TrajectoryPoint(round(row[0], 8), tuple(round(share, 8) for share in row[1:]))
            for row in self.trajectory[: int(self.noted)].tolist()
        )
        return AugmentPolicy(
            (SubPolicy((Stage(choices, repeat=SEQUENCE),)),),
            probability=round(float(self.probability.detach()), 8),
            trajectory=points,
            origin={**(origin or {}), 'method': 'DDAS'},
        )
