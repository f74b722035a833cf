"""What DADA searches: pairs of operations (Li et al., ECCV 2020)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmdas.search.augmentation import AugmentPolicy, AugmentSearch, Canvas, Stage, SubPolicy
from mmdas.search.augmentation.ranged import straight_through

from .relax import draw_bits, draw_category
from .space import DADA_OPERATIONS, PAIRS

# A sigmoid's slope is at most a quarter: at 0.5 its value then moves at the rate of the optimiser.
RATE_OF_SIGMOIDS = 4.0


@dataclass(frozen=True)
class PairDraw:
    """What a step does with its images, and the relaxed draws behind it.

    Args:
        pair: place of the pair among all P.
        applied: (P, 2), 1 where an operation would be applied; those of the pair count.
        relaxed, given: (3 P,), z and z~ of :mod:`mmdas.search.dada.relax`.
        log_probability: (), of pair and bits.
    """

    pair: int
    applied: Tensor
    relaxed: Tensor
    given: Tensor
    log_probability: Tensor


class DADASearch(AugmentSearch):
    """A distribution over all pairs of 15 operations, with a probability and a magnitude for both of a pair.

    In the search a batch gets one pair, one operation after the other, each of them or not. Pair and bits are hard
    draws; :class:`mmdas.engine.DADAStep` estimates their gradient by RELAX. Magnitudes learn straight through: the
    derivative of each value in the share of an operation's range is 1, as in that work. Where images are signed warps,
    each draws its sign.

    The policy is the distribution over all pairs.

    Args:
        temperature: of the relaxed draws. Default: 0.5.

    Attributes:
        pair_logits: (P,), of the P = 105 pairs; zero at the start.
        probability_logits, magnitude_logits: (P, 2); probabilities, and shares of the range of magnitudes, are their
            sigmoids, 0.5 at the start. Magnitudes of operations that take none stay there.

    Raises:
        ValueError: for a temperature that is not positive.
    """

    space = DADA_OPERATIONS
    pairs = PAIRS

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'DADASearch.temperature must be positive, got {temperature}')
        self.temperature = temperature
        count = len(self.pairs)
        self.pair_logits = nn.Parameter(torch.zeros(count))
        self.probability_logits = nn.Parameter(torch.zeros(count, 2))
        self.magnitude_logits = nn.Parameter(torch.zeros(count, 2))
        self._draw: PairDraw | None = None

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations of the space."""
        return tuple(entry.name for entry in self.space)

    @property
    def distribution(self) -> Tensor:
        """(P,), of the pairs."""
        return self.pair_logits.softmax(dim=0)

    @property
    def probabilities(self) -> Tensor:
        """(P, 2), that an operation of a drawn pair is applied."""
        return self.probability_logits.sigmoid()

    @property
    def magnitudes(self) -> Tensor:
        """(P, 2), shares of the ranges of magnitudes."""
        return self.magnitude_logits.sigmoid()

    def policy_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Probabilities and magnitudes learn as fast as if they were the parameters themselves, at 0.5."""
        return [([self.pair_logits], 1.0), ([self.probability_logits, self.magnitude_logits], RATE_OF_SIGMOIDS)]

    @property
    def drawn_parameters(self) -> list[nn.Parameter]:
        """Those of the distribution of pairs and bits."""
        return [self.pair_logits, self.probability_logits]

    def draw(self) -> PairDraw:
        """Draw a pair, and whether each of the operations is applied."""
        pair = draw_category(self.pair_logits, self.temperature)
        bits = draw_bits(self.probability_logits, self.temperature)
        return PairDraw(
            int(pair.hard),
            bits.hard,
            torch.cat([pair.relaxed, bits.relaxed.flatten()]),
            torch.cat([pair.given, bits.given.flatten()]),
            pair.log_probability + bits.log_probability,
        )

    @contextmanager
    def only(self, draw: PairDraw) -> Iterator[None]:
        """Give all images what was drawn, for a while."""
        before, self._draw = self._draw, draw
        try:
            yield
        finally:
            self._draw = before

    def forward(self, images: Tensor, labels: Tensor | None, canvas: Canvas) -> tuple[Tensor, Tensor | None]:
        """Images and labels with the draw that is set, or else with one for this batch."""
        draw = self.draw() if self._draw is None else self._draw
        applied = draw.applied[draw.pair].tolist()
        shares: list[Tensor] = []
        for slot, place in enumerate(self.pairs[draw.pair]):
            if not applied[slot]:
                continue
            entry, share = self.space[place], self.magnitudes[draw.pair, slot]
            images, labels = entry.apply(images, labels, share.detach().expand(len(images)), canvas)
            if entry.learns:
                shares.append(share)
        for share in shares:
            images = straight_through(images, share)
        return images, labels

    def report(self) -> dict[str, float]:
        """Mean probability of applying, how even the distribution is (1: uniform), and the share of each operation."""
        found = self.distribution.detach()
        entropy = -(found * found.clamp(min=1e-30).log()).sum() / torch.tensor(float(len(found))).log()
        shares = dict.fromkeys(self.operations, 0.0)
        for pair, share in zip(self.pairs, found.tolist(), strict=True):
            for place in pair:
                shares[self.space[place].name] += share / 2
        return {
            'probability': float((found[:, None] * self.probabilities.detach()).sum() / 2),
            'evenness': float(entropy),
            **{f'share/{name}': share for name, share in shares.items()},
        }

    def to_policy(self, origin: Mapping | None = None) -> AugmentPolicy:
        """All pairs with their weights."""
        tables = (self.distribution, self.probabilities, self.magnitudes)
        weights, probabilities, magnitudes = (table.detach().tolist() for table in tables)
        subs = []
        for pair, weight, chances, shares in zip(self.pairs, weights, probabilities, magnitudes, strict=True):
            rows = zip(pair, shares, chances, strict=True)
            stages = tuple(Stage((self.space[place].choice(share, chance),)) for place, share, chance in rows)
            subs.append(SubPolicy(stages, weight=round(weight, 8)))
        return AugmentPolicy(tuple(subs), origin={**(origin or {}), 'method': 'DADA'})
