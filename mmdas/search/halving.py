"""Successive halving: many methods in short trainings, the best of them in longer ones (Jamieson and Talwalkar 2016).

Every rung is a whole training of a length of its own. The last rung gives the finalists further seeds, at the length of
the rung before. A baseline is in every rung and has no place to lose. Short trainings may rank methods in another order
than long ones, so that rungs are short only where that saves much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

FACTOR = 2  # of the lengths of two rungs, and of the numbers of their methods
PATIENCE = 1.25  # a plan with longer rungs may cost so many times the cheapest


@dataclass(frozen=True)
class Cost:
    """What a training takes: ``fixed`` seconds, and ``unit`` seconds for each iteration or epoch."""

    fixed: float
    unit: float

    def seconds(self, length: int) -> float:
        """Of a training of a length."""
        return self.fixed + self.unit * length


@dataclass(frozen=True)
class Rung:
    """Trainings of equal length.

    Args:
        size: number of methods, the baseline among them.
        part: of the final's length, in (0, 1].
        seeds: number of trainings a method.
        first: place of the first seed; where it is not 0, the rung goes on with the trainings of the one before.
    """

    size: int
    part: float
    seeds: int
    first: int = 0

    @property
    def cost(self) -> float:
        """In trainings of the final's length."""
        return self.size * self.part * self.seeds

    def length(self, final: int) -> int:
        """Of its trainings, where those of the final have a length."""
        return max(round(self.part * final), 1)


def make_rungs(methods: int, finalists: int, seeds: int) -> list[Rung]:
    """The rungs, shortest first.

    Of all plans that cost no more than 1.25 times the cheapest one, it is the one whose first rung is longest. So few
    methods are all trained at the length of the final, and the finalists with further seeds.

    Args:
        methods: number of methods, the baseline among them; >= 1.
        finalists: number of methods with several seeds beside the baseline; >= 1. With one seed there may be more.
        seeds: of the finalists; >= 1.

    Raises:
        ValueError: for a number that is too small.
    """
    for name, value in (('methods', methods), ('finalists', finalists), ('seeds', seeds)):
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
    sizes = [methods]
    while sizes[-1] > finalists + 1:
        sizes.append(max(math.ceil(sizes[-1] / FACTOR), finalists + 1))
    plans = [_plan(sizes[: shorter + 1], sizes[-1], seeds) for shorter in range(len(sizes))]
    cheapest = min(map(_cost, plans))
    return next(plan for plan in plans if _cost(plan) <= PATIENCE * cheapest)


def _plan(sizes: Sequence[int], finalists: int, seeds: int) -> list[Rung]:
    """Rungs of these sizes, each twice as long as the one before, and further seeds for the finalists."""
    last = len(sizes) - 1
    rungs = [Rung(size, FACTOR ** (place - last), 1) for place, size in enumerate(sizes)]
    return [*rungs, Rung(finalists, 1.0, seeds - 1, first=1)] if seeds > 1 else rungs


def _cost(rungs: Iterable[Rung]) -> float:
    return sum(rung.cost for rung in rungs)


def seconds_of(rungs: Sequence[Rung], costs: Iterable[Cost], final: int, processes: int = 1) -> float:
    """What rungs take at most, whichever methods survive.

    Args:
        rungs: those that are left.
        costs: of the methods that are left.
        final: length of the final.
        processes: trainings that run at a time and do not slow each other down.
    """
    total = 0.0
    for rung in rungs:
        dearest = sorted((cost.seconds(rung.length(final)) for cost in costs), reverse=True)[: rung.size]
        total += max(rung.seeds * sum(dearest) / processes, max(dearest))
    return total


def final_length(rungs: Sequence[Rung], costs: Iterable[Cost], seconds: float, longest: int, processes: int = 1) -> int:
    """The longest final with which the rungs take no longer than they may; 1 where nothing is short enough.

    Args:
        rungs, costs, processes: as of :func:`seconds_of`.
        seconds: that the rungs may take.
        longest: that a final may be; >= 1.
    """
    all_costs = list(costs)
    low, high = 1, longest
    while low < high:
        middle = (low + high + 1) // 2
        if seconds_of(rungs, all_costs, middle, processes) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low


def survivors(scores: Mapping[str, float], size: int, baseline: str) -> list[str]:
    """The methods of the next rung, best first; the baseline is always among them.

    Args:
        scores: of the methods, higher being better. Of equals the first named goes on.
        size: number of methods that go on, the baseline among them.
        baseline: a method.
    """
    others = sorted((name for name in scores if name != baseline), key=lambda name: -scores[name])
    kept = [baseline, *others[: size - 1]]
    return sorted((name for name in scores if name in kept), key=lambda name: -scores[name])


@dataclass(frozen=True)
class Standing:
    """How a method stands in the final.

    Args:
        name: of the method.
        scores: of its seeds, higher being better.
        behind: mean score of the best less its own; 0 for the best.
        error: standard error of that difference; None where no method has two seeds, and 0 for the best.
    """

    name: str
    scores: tuple[float, ...]
    behind: float
    error: float | None

    @property
    def mean(self) -> float:
        """Of the scores."""
        return fmean(self.scores)

    @property
    def is_level(self) -> bool:
        """Whether the best is not ahead by more than two standard errors; False where the error is not known."""
        return self.behind == 0 or (self.error is not None and self.behind <= 2 * self.error)


def standings(scores: Mapping[str, Mapping[int, float]]) -> list[Standing]:
    """The final's methods, best mean first, and how sure the order is.

    Methods are compared on the seeds that all of them have. Two or three seeds of one method say little of its spread.
    So the variance is pooled: all methods count as equally noisy.

    Args:
        scores: method -> seed -> score; a method without any score is left out.
    """
    reached = {name: own for name, own in scores.items() if own}
    if not reached:
        return []
    seeds = sorted(set.intersection(*(set(own) for own in reached.values())))
    lists = {name: tuple(own[seed] for seed in seeds) for name, own in reached.items()}
    best = max(lists, key=lambda name: fmean(lists[name]))
    error = difference_error(list(lists.values()))
    return [
        Standing(name, own, fmean(lists[best]) - fmean(own), 0.0 if name == best else error)
        for name, own in sorted(lists.items(), key=lambda item: -fmean(item[1]))
    ]


def difference_error(groups: Sequence[Sequence[float]]) -> float | None:
    """Standard error of the difference of two means, from the variance within groups of equal size.

    Returns:
        sqrt(2 s^2 / n), s^2 being the mean of the groups' variances; None for groups of one.
    """
    count = len(groups[0])
    if count < 2:
        return None
    return math.sqrt(2 * fmean(variance(group) for group in groups) / count)
