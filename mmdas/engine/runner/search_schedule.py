"""Which step a search takes at which iteration: a plain table, so that a resumed search knows where it stands."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from mmdas.engine.selection import Decision

PHASES = ('weights', 'policy', 'selection', 'tuning')

# Cost in forward-and-backward passes of one batch: the trials of a selection run forward only.
_PASSES_PER_TRIAL = 1 / 3


@dataclass(frozen=True)
class Round:
    """``length`` iterations of the same phase; a decision is a round of its own with one iteration."""

    phase: str
    length: int
    decision: Decision | None = None


class SearchSchedule:
    """The rounds of a search one after the other.

    Args:
        rounds: in order; rounds of length 0 are dropped.
        batches_per_decision: policy batches on which the trials of a decision are evaluated.
        policy_passes: forward-and-backward passes of a batch in an iteration that steps policy and weights. Default: 2.
    """

    def __init__(self, rounds: Sequence[Round], batches_per_decision: int, policy_passes: float = 2.0) -> None:
        self.rounds = [entry for entry in rounds if entry.length > 0]
        self.batches_per_decision = batches_per_decision
        self.policy_passes = policy_passes
        self._ends = list(accumulate(entry.length for entry in self.rounds))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def round_at(self, iteration: int) -> Round:
        """Round of an iteration in 0 .. len - 1."""
        return self.rounds[bisect_right(self._ends, iteration)]

    def end_of_round(self, index: int) -> int:
        """Iteration at which the round after the one at ``index`` begins."""
        return self._ends[index]

    def batches_before(self, iteration: int) -> tuple[int, int]:
        """Batches of the weights part and of the policy part that were consumed before an iteration."""
        weights = policy = 0
        for entry, done in self._rounds_before(iteration):
            weights += done if entry.phase != 'selection' else 0
            policy += done if entry.phase == 'policy' else 0
            policy += done * self.batches_per_decision if entry.phase == 'selection' else 0
        return weights, policy

    def passes_before(self, iteration: int) -> float:
        """Compute spent before an iteration, in forward-and-backward passes of a batch."""
        return sum(done * self._passes(entry) for entry, done in self._rounds_before(iteration))

    def _passes(self, entry: Round) -> float:
        if entry.decision is not None:
            return max(entry.decision.trials * self.batches_per_decision, 1) * _PASSES_PER_TRIAL
        return self.policy_passes if entry.phase == 'policy' else 1.0

    def _rounds_before(self, iteration: int) -> list[tuple[Round, int]]:
        starts = [end - entry.length for entry, end in zip(self.rounds, self._ends, strict=True)]
        return [
            (entry, min(entry.length, iteration - start))
            for entry, start in zip(self.rounds, starts, strict=True)
            if start < iteration
        ]
