from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from mmdas.search.das import Policy, PolicyEdge, agreement, operation_shares

NAMES = ('identity', 'translate_x', 'rotate')


def policy(*edges: tuple[int, int, str], num_nodes: int = 2) -> Policy:
    return Policy(4, num_nodes, tuple(PolicyEdge(*edge, strength=0.01) for edge in edges), operations=NAMES)


def shares_of_all_paths(found: Policy) -> dict[str, float]:
    """Every path from the image to the clip, written out with its weight."""
    into = {node: [edge for edge in found.edges if edge.target == node] for node in range(2, 2 + found.num_nodes)}

    def paths(node: int) -> list[tuple[float, list[str]]]:
        if node < 2:
            return [(1.0, [])]
        return [
            (weight / len(into[node]), [*names, edge.operation])
            for edge in into[node]
            for weight, names in paths(edge.source)
        ]

    counts = Counter()
    for weight, names in paths(1 + found.num_nodes):
        for name in names:
            counts[name] += weight
    return {name: count / sum(counts.values()) for name, count in counts.items()}


@pytest.mark.parametrize(('seed', 'num_nodes'), list(product(range(4), (1, 3, 5))))
def test_shares_are_those_of_all_paths(seed, num_nodes):
    drawn = Policy.random(4, NAMES, num_nodes, seed=seed)
    shares = operation_shares(drawn)
    assert shares == pytest.approx(shares_of_all_paths(drawn))
    assert sum(shares.values()) == pytest.approx(1)


def test_edges_that_the_clip_does_not_depend_on_have_no_share():
    assert operation_shares(policy((0, 2, 'rotate'), (0, 3, 'translate_x'))) == {'translate_x': 1.0}


def test_equal_policies_agree_whatever_their_strengths_and_those_without_a_common_operation_do_not():
    turn, move = policy((0, 2, 'rotate'), (2, 3, 'rotate')), policy((0, 2, 'translate_x'), (2, 3, 'translate_x'))
    stronger = replace(turn, edges=tuple(replace(edge, strength=0.5) for edge in turn.edges))
    assert agreement([turn, stronger, turn]).value == 1.0
    assert agreement([turn, move]).value == 0.0
    assert agreement([turn, turn, move]).value == pytest.approx(1 / 3)  # one pair of three


def test_random_policies_agree_as_chance_has_it():
    single = policy((0, 2, 'rotate'), num_nodes=1)  # one edge: equal in one of three pairs of operations
    chance = sum(a == b for a, b in product(NAMES, NAMES)) / 9
    found = agreement([single, single])
    assert found.random == pytest.approx(chance, abs=0.1)
    assert found.deviation == pytest.approx((chance * (1 - chance)) ** 0.5, abs=0.05)
    assert found == agreement([single, single])


@pytest.mark.parametrize(
    ('policies', 'text'),
    [
        ([policy((0, 2, 'rotate'), (2, 3, 'rotate'))], 'two policies or more, got 1'),
        ([Policy.random(4, NAMES, 2), Policy.random(4, NAMES, 3)], 'policy 0 has 2 nodes .* policy 1 3'),
        ([Policy.random(4, NAMES), Policy.random(4, NAMES[:2])], 'only policies of one search space'),
        ([replace(Policy.random(4, NAMES), operations=())] * 2, 'do not say which operations were searched'),
    ],
)
def test_what_does_not_compare_is_refused(policies, text):
    with pytest.raises(ValueError, match=text):
        agreement(policies)
