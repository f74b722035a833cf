"""How far policies agree, such as those of several searches of one network that differ in their seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean, pstdev

import torch

from .policy import Policy
from .topology import NUM_INPUTS, sorted_by_target

Labelled = tuple[int, int, str]  # source, target, operation of an edge
DRAWS = 200


@dataclass(frozen=True)
class Agreement:
    """How far policies agree, and how far random ones do.

    Args:
        value: mean over all pairs, 1 for equal shares of the operations, 0 where no two have one in common.
        random: the same of as many random policies of equal size, the mean over 200 draws of them.
        deviation: standard deviation of these draws.
    """

    value: float
    random: float
    deviation: float

    def __str__(self) -> str:
        return f'{self.value:.2f} (random policies of equal size: {self.random:.2f} +- {self.deviation:.2f})'


def operation_shares(policy: Policy) -> dict[str, float]:
    """Share of each operation among those on the paths from the image to the clip; they add up to 1.

    A path counts with its weight in the clip, which is that of its edges: those of a node have equal ones.
    """
    return _shares([(edge.source, edge.target, edge.operation) for edge in policy.edges], policy.num_nodes)


def agreement(policies: Sequence[Policy], seed: int = 0) -> Agreement:
    """How far policies agree in what they do to an image, whatever their strengths.

    Two policies agree by 1 minus the total variation distance of their shares of operations: by the shares that both
    have. Random policies have nodes with as many edges, and draw sources and operations uniformly from the space.

    Args:
        policies: two or more, which were searched in one space with one number of nodes.
        seed: of the random policies. Default: 0.

    Raises:
        ValueError: for fewer than two, or policies that do not compare.
    """
    if len(policies) < 2:
        raise ValueError(f'agreement compares two policies or more, got {len(policies)}')
    first, *others = [(policy.num_nodes, sorted(policy.operations)) for policy in policies]
    for place, other in enumerate(others, 1):
        if other != first:
            raise ValueError(
                f'policy 0 has {first[0]} nodes and the operations {first[1]}, policy {place} {other[0]} and '
                f'{other[1]}: only policies of one search space compare'
            )
    if not first[1]:
        raise ValueError('the policies do not say which operations were searched, so that random ones cannot be drawn')
    generator = torch.Generator().manual_seed(seed)
    drawn = [_overlap([_random_shares(policy, generator) for policy in policies]) for _ in range(DRAWS)]
    return Agreement(_overlap([operation_shares(policy) for policy in policies]), mean(drawn), pstdev(drawn))


def _shares(edges: Sequence[Labelled], num_nodes: int) -> dict[str, float]:
    """Shares of the operations, from the clip back to the image."""
    into = sorted_by_target([(source, target) for source, target, _ in edges])
    weights = {NUM_INPUTS + num_nodes - 1: 1.0}
    shares: dict[str, float] = {}
    for target in range(NUM_INPUTS + num_nodes - 1, NUM_INPUTS - 1, -1):
        if target not in weights:
            continue
        for position in into[target]:
            source, _, operation = edges[position]
            part = weights[target] / len(into[target])
            shares[operation] = shares.get(operation, 0.0) + part
            weights[source] = weights.get(source, 0.0) + part
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def _overlap(shares: Sequence[Mapping[str, float]]) -> float:
    """Mean over all pairs of what both have."""
    return mean(
        sum(min(share, other.get(name, 0.0)) for name, share in one.items()) for one, other in combinations(shares, 2)
    )


def _random_shares(policy: Policy, generator: torch.Generator) -> dict[str, float]:
    """Shares of a random policy with as many edges into each node."""
    edges = []
    for target, positions in sorted_by_target([(edge.source, edge.target) for edge in policy.edges]).items():
        for source in torch.randperm(target, generator=generator)[: len(positions)].tolist():
            drawn = int(torch.randint(len(policy.operations), (), generator=generator))
            edges.append((source, target, policy.operations[drawn]))
    return _shares(edges, policy.num_nodes)
