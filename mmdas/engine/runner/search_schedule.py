"""Which step a search takes at which iteration: a plain table, so that a resumed search knows where it stands."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from mmdas.engine.selection import Decision

PHASES = ('image', 'weights', 'policy', 'selection', 'tuning')

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
        policy_interval: K >= 1. In the policy phase the iterations K - 1, 2 K - 1, ... of the whole search step policy
            and weights, the others the weights alone. Default: 1, all of them.
        num_frames: T of a clip, in whose T-th part of a pass an iteration on the image takes. Default: 1.
    """

    def __init__(
        self,
        rounds: Sequence[Round],
        batches_per_decision: int,
        policy_passes: float = 2.0,
        policy_interval: int = 1,
        num_frames: int = 1,
    ) -> None:
        self.rounds = [entry for entry in rounds if entry.length > 0]
        self.batches_per_decision = batches_per_decision
        self.policy_passes = policy_passes
        self.policy_interval = policy_interval
        self.num_frames = num_frames
        self._ends = list(accumulate(entry.length for entry in self.rounds))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def round_at(self, iteration: int) -> Round:
        """Round of an iteration in 0 .. len - 1."""
        return self.rounds[bisect_right(self._ends, iteration)]

    @property
    def has_policy_phase(self) -> bool:
        """Whether there are iterations in which the policy may be stepped."""
        return any(entry.phase == 'policy' for entry in self.rounds)

    def steps_policy(self, iteration: int) -> bool:
        """Whether an iteration steps the policy beside the weights."""
        return self.round_at(iteration).phase == 'policy' and (iteration + 1) % self.policy_interval == 0

    def policy_steps(self) -> int:
        """Steps of the policy in the whole search."""
        return sum(self._policy_steps(entry, start, done) for entry, start, done in self._rounds_before(len(self)))

    def without_policy_phase_after(self, iteration: int) -> 'SearchSchedule':
        """The same search whose policy phase ends at an iteration; what follows the phase comes then."""
        starts = [end - entry.length for entry, end in zip(self.rounds, self._ends, strict=True)]
        rounds = [
            replace(entry, length=max(min(entry.length, iteration - start), 0)) if entry.phase == 'policy' else entry
            for entry, start in zip(self.rounds, starts, strict=True)
        ]
        settings = self.batches_per_decision, self.policy_passes, self.policy_interval, self.num_frames
        return SearchSchedule(rounds, *settings)

    def end_of_round(self, index: int) -> int:
        """Iteration at which the round after the one at ``index`` begins."""
        return self._ends[index]

    def batches_before(self, iteration: int) -> tuple[int, int]:
        """Batches of the weights part and of the policy part that were consumed before an iteration."""
        weights = policy = 0
        for entry, start, done in self._rounds_before(iteration):
            weights += done if entry.phase != 'selection' else 0
            policy += self._policy_steps(entry, start, done)
            policy += done * self.batches_per_decision if entry.phase == 'selection' else 0
        return weights, policy

    def passes_before(self, iteration: int) -> float:
        """Compute spent before an iteration, in forward-and-backward passes of a batch."""
        return sum(self._passes(*part) for part in self._rounds_before(iteration))

    def _passes(self, entry: Round, start: int, done: int) -> float:
        if entry.decision is not None:
            return done * max(entry.decision.trials * self.batches_per_decision, 1) * _PASSES_PER_TRIAL
        if entry.phase == 'image':
            return done / self.num_frames
        return done + (self.policy_passes - 1) * self._policy_steps(entry, start, done)

    def _policy_steps(self, entry: Round, start: int, done: int) -> int:
        """Steps of the policy in the first iterations of a round that begins at ``start``."""
        if entry.phase != 'policy':
            return 0
        return (start + done) // self.policy_interval - start // self.policy_interval

    def _rounds_before(self, iteration: int) -> list[tuple[Round, int, int]]:
        """Rounds that have begun before an iteration, with their first iteration and how many are done."""
        starts = [end - entry.length for entry, end in zip(self.rounds, self._ends, strict=True)]
        return [
            (entry, start, min(entry.length, iteration - start))
            for entry, start in zip(self.rounds, starts, strict=True)
            if start < iteration
        ]
