"""Which views, with which weights: from the probabilities that each of them gave to the true class.

The prediction of a sample n is the mixture of those views that show it, m_n = sum_k w_k s_kn p_kn / sum_k w_k s_kn.
Here p is the probability of the true class, and s is 1 where the view shows the sample. The weights maximise the mean
of log m_n. Every further view costs a price in it, since it costs a pass of the network.

A step multiplies w_k by (sum_n s_kn p_kn / sum_j w_j s_jn p_jn) / (sum_n s_kn / sum_j w_j s_jn). It is gradient ascent
with a step size for each weight, and never lowers the likelihood: EM where every view shows every sample, where not as
in Hunter, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 2004.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = 1e-6  # smallest probability, so that one sample cannot decide all
STEPS = 40  # for the comparison of sets
LAST_STEPS = 400  # for the weights that are kept
CHUNK = 2**23  # numbers at a time in the comparison of sets
SMALLEST = 0.01  # weight of a view that is kept
BETTER = 1e-6  # by which one set must beat another


@dataclass(frozen=True)
class ChosenViews:
    """Result of :func:`choose_views`.

    Args:
        places: of the chosen views.
        weights: of them, with the sum 1.
        likelihood: mean logarithm of the mixture's probability of the true class.
    """

    places: tuple[int, ...]
    weights: tuple[float, ...]
    likelihood: float


def fit_weights(probabilities: Tensor, seen: Tensor, steps: int = LAST_STEPS) -> tuple[Tensor, Tensor]:
    """Weights that maximise the mean log-likelihood of the mixture, for many sets of views at once.

    Args:
        probabilities: (..., V, N) of the true class.
        seen: (..., V, N), 1 where a view shows the sample, else 0; every sample is shown by one view of a set.
        steps: of the ascent.

    Returns:
        Weights (..., V) with the sum 1, and the mean log-likelihood (...).
    """
    shown = probabilities.clamp(min=FLOOR) * seen
    weights = shown.new_full((*shown.shape[:-2], 1, shown.shape[-2]), 1 / shown.shape[-2])
    for _ in range(steps):
        gain = (1 / (weights @ shown)) @ shown.mT
        due = (1 / (weights @ seen)) @ seen.mT
        weights = weights * gain / due
        weights = weights / weights.sum(-1, keepdim=True)
    weights = weights.squeeze(-2)
    return weights, mixture_likelihood(weights, probabilities, seen)


def mixture_likelihood(weights: Tensor, probabilities: Tensor, seen: Tensor) -> Tensor:
    """Mean log-likelihood (...) of mixtures with weights (..., V); the others as of :func:`fit_weights`."""
    shown = probabilities.clamp(min=FLOOR) * seen
    mixture, votes = weights[..., None, :] @ shown, weights[..., None, :] @ seen
    return (mixture / votes).log().mean((-2, -1))


def choose_views(
    probabilities: Tensor, seen: Tensor, max_views: int, price: float, sees_all: Sequence[bool] | None = None
) -> ChosenViews:
    """A few views and their weights.

    From the best single view on, the best of all sets that differ by one view more, one less or another one is taken,
    until none is better. A set is worth its log-likelihood less the price of every view after the first.

    Args:
        probabilities: (V, N) that each view gave to the true class.
        seen: (V, N), 1 where a view shows the sample, else 0.
        max_views: largest number of views.
        price: of a further view, in nats of the mean log-likelihood.
        sees_all: which views show everything, also beyond these samples; one of them is in every set. Default: those
            that show every sample.

    Raises:
        ValueError: if there is no sample, no view that shows everything, or ``max_views`` is below 1.
    """
    views, samples = probabilities.shape
    whole = seen.bool().all(-1).tolist() if sees_all is None else list(sees_all)
    if max_views < 1:
        raise ValueError(f'max_views must be at least 1, got {max_views}')
    if not samples or not any(whole):
        raise ValueError(f'there are {samples} samples and {sum(whole)} views that show everything; both need one')
    best: tuple[int, ...] = ()
    worth = -torch.inf
    while True:
        sets = [one for one in neighbours(best, views, max_views) if any(whole[place] for place in one)]
        values = worths(sets, probabilities, seen, price)
        top = max(range(len(sets)), key=values.__getitem__)
        if values[top] <= worth + BETTER:
            break
        best, worth = sets[top], values[top]
    return last_fit(best, probabilities, seen, whole)


def neighbours(places: tuple[int, ...], views: int, max_views: int) -> list[tuple[int, ...]]:
    """Sets that differ by one view more, one less or another one."""
    others = [place for place in range(views) if place not in places]
    fewer = [tuple(one for one in places if one != place) for place in places]
    found = [one for one in fewer if one]
    found += [tuple(sorted((*one, other))) for one in fewer for other in others]
    if len(places) < max_views:
        found += [tuple(sorted((*places, other))) for other in others]
    return found


def worths(sets: Sequence[tuple[int, ...]], probabilities: Tensor, seen: Tensor, price: float) -> list[float]:
    """What sets of views are worth."""
    values = [0.0] * len(sets)
    for numbers in chunks(sets, probabilities.shape[1]):
        places = torch.tensor([sets[number] for number in numbers], device=probabilities.device)
        _, likelihood = fit_weights(probabilities[places], seen[places], STEPS)
        for number, value in zip(numbers, likelihood.tolist(), strict=True):
            values[number] = value - price * (len(sets[number]) - 1)
    return values


def chunks(sets: Sequence[tuple[int, ...]], samples: int) -> Iterator[list[int]]:
    """Numbers of sets of one length that fit into the memory at a time."""
    for length in sorted({len(one) for one in sets}):
        numbers = [number for number, one in enumerate(sets) if len(one) == length]
        step = max(1, CHUNK // (length * samples))
        yield from (numbers[start : start + step] for start in range(0, len(numbers), step))


def last_fit(places: tuple[int, ...], probabilities: Tensor, seen: Tensor, whole: Sequence[bool]) -> ChosenViews:
    """Weights of a set in full, without the views that got hardly any."""
    while True:
        weights, likelihood = fit_weights(probabilities[list(places)], seen[list(places)])
        kept = [place for place, weight in zip(places, weights.tolist(), strict=True) if weight >= SMALLEST]
        if len(kept) == len(places) or not any(whole[place] for place in kept):
            break
        places = tuple(kept)
    shares = weights.clamp(min=SMALLEST / 2).double()
    return ChosenViews(places, tuple((shares / shares.sum()).tolist()), float(likelihood))
