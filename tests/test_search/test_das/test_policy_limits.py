"""Policy files of any size and content end soon: with a policy whose clip is finite, or with an error of one screen."""

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import torch

from mmdas.search import PolicyError, load_policy
from mmdas.search.das import OPERATIONS, Policy, PolicyClip, PolicyEdge
from mmdas.search.das.topology import needed_nodes
from mmdas.search.policy_file import MAX_BYTES, MAX_DEPTH


def edge(source: int, target: int, operation: str = 'rotate', strength: float = 1.0) -> dict[str, Any]:
    return dict(source=source, target=target, operation=operation, strength=strength)


def text(**fields: Any) -> str:
    """A sound policy with other fields."""
    sound = dict(schema_version=2, num_frames=4, num_nodes=2, edges=[edge(0, 2), edge(2, 3, 'translate_x', 0.1)])
    return json.dumps({**sound, **fields})


def first(operation: str, strength: float, **fields: Any) -> str:
    return text(edges=[edge(0, 2, operation, strength), edge(2, 3)], **fields)


def chain(length: int) -> list[dict]:
    return [edge(target - 1, target) for target in range(2, 2 + length)]


def full(num_nodes: int) -> list[dict]:
    return [edge(source, target) for target in range(2, 2 + num_nodes) for source in range(target)]


# What a file holds -> a part of the message, None for a policy.
FILES: dict[str, tuple[Callable[[], str], str | None]] = {
    '10,000 edges': (lambda: text(num_nodes=140, edges=full(140)), None),
    '10,000 nodes': (lambda: text(num_nodes=10_000, edges=chain(10_000)), 'num_nodes is 10000, .* at most 256'),
    'a chain of 256 nodes': (lambda: text(num_nodes=256, edges=chain(256)), None),
    'one edge 10,000 times': (lambda: text(edges=[edge(0, 2)] * 10_000), 'more than once'),
    '100,000 wrong edges': (lambda: text(edges=[edge(0, 2, 'x')] * 100_000), "operation is 'x'"),
    'a million lists in each other': (lambda: '[' * 10**6 + ']' * 10**6, 'within each other'),
    'a million open lists': (lambda: '[' * 10**6, 'within each other'),
    'objects in each other': (lambda: '{"a":' * 10**5 + '1' + '}' * 10**5, 'within each other'),
    'a deep origin': (lambda: text(origin=5).replace('5}', '[' * 900 + ']' * 900 + '}'), 'within each other'),
    'a key twice': (lambda: '{"num_frames": 4, "num_frames": 5}', "the key 'num_frames' stands twice"),
    'a key twice in an edge': (lambda: text().replace('"source": 0', '"source": 0, "source": 0'), "'source' stands"),
    'a billion frames': (lambda: text(num_frames=10**9), 'num_frames is 1000000000, .* at most 1024'),
    'frames of 400 digits': (lambda: text(num_frames=10**400), 'num_frames is 10000'),
    'frames of 5,000 digits': (lambda: '{"num_frames": 1' + '0' * 5000 + '}', 'not a JSON file'),
    'a billion nodes': (lambda: text(num_nodes=10**9), 'num_nodes is 1000000000'),
    'a strength of 400 digits': (lambda: first('rotate', 10**400), r'edges\[0\].strength is 1000'),
    'NaN': (lambda: first('rotate', float('nan')), r'edges\[0\].strength is nan'),
    'Infinity': (lambda: first('rotate', float('inf')), r'edges\[0\].strength is inf'),
    'the largest number': (lambda: first('rotate', 3e38), 'reach 1e39 in the outermost of 4 frames'),
    'a scale beyond numbers': (lambda: first('scale', 1e30), 'reach 1e60'),
    'a scale to nothing': (lambda: first('scale', -1 + 1e-12), 'reach inf'),
    'a brightness beyond numbers': (lambda: first('brightness', 1e38), 'reach 1e38'),
    'sums of sums': (
        lambda: text(
            num_nodes=200,
            edges=[edge(target - step, target) for target in range(2, 202) for step in (1, 2)],
            node_reduction='sum',
        ),
        'add up .* copies of the image',
    ),
    'a seed of 30 digits': (lambda: first('noise', 0.1, seed=10**30), 'seed is 1000'),
    'the largest seed': (lambda: first('noise', 0.1, seed=2**62), None),
    'a size of 400 digits': (lambda: text(reference_size=[10**400, 10**400]), 'reference_size is'),
    'the largest size': (lambda: text(reference_size=[2**20, 2**20]), None),
    'NaN in the origin': (lambda: text(origin={'cost': float('nan')}), 'origin holds nan'),
    'infinity in the origin': (lambda: text(origin={'cost': 5}).replace('5}', '1e999}'), 'origin holds inf'),
    'a long word': (lambda: text(ramp='x' * 10**7), r"ramp is 'xxx.*'signed', 'mirrored'"),
    'a long kind': (lambda: text(kind='x' * 10**7), 'import the module that registers it, or correct'),
    'a long key': (lambda: text(**{'x' * 10**7: 1}), 'unknown fields'),
    '100,000 keys': (lambda: text(**{f'key_{number}': 1 for number in range(10**5)}), 'unknown fields'),
    'a million operations': (lambda: text(operations=['x'] * 10**6), 'operations holds'),
    '100 MB of text': (lambda: text(origin={'x': 'a' * 10**8}), 'more than 32 MiB'),
    '100 MB of nothing': (lambda: 'x' * 10**8, 'more than 32 MiB'),
    'the largest origin': (lambda: text(origin={'x': 'a' * (MAX_BYTES - 1000)}), None),
    'a version in a list': (lambda: text(schema_version=[2]), r'schema_version is \[2\]'),
    'lists in an edge': (lambda: text(edges=[dict.fromkeys(edge(0, 2), [[]])]), r'edges\[0\].source is \[\[\]\]'),
}


@pytest.mark.parametrize('name', FILES)
def test_any_file_gives_a_finite_clip_or_a_short_error_in_a_short_time(name: str, tmp_path: Path) -> None:
    content, message = FILES[name]
    (tmp_path / 'policy.json').write_text(content())
    begin = monotonic()
    if message is None:
        policy = load_policy(tmp_path / 'policy.json')
        assert monotonic() - begin < 10
        assert PolicyClip(policy)(torch.rand(1, 3, 8, 8)).isfinite().all()
        return
    with pytest.raises(PolicyError, match=f'(?s){message}') as caught:
        load_policy(tmp_path / 'policy.json')
    assert monotonic() - begin < 10
    assert str(caught.value).startswith(str(tmp_path))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize('padding', ['zeros', 'border', 'reflection'])
@pytest.mark.parametrize('name', OPERATIONS)
def test_the_strongest_policy_that_is_accepted_gives_a_finite_clip(name: str, padding: str) -> None:
    images = torch.rand(1, 3, 8, 12)
    images[..., :4], images[..., 4:6] = 0, 1
    for count in (1, 3):
        for power in range(40):
            for strength in (10.0**power, -(10.0**power), 10.0**-power - 1):
                edges = tuple(PolicyEdge(number + 1, number + 2, name, strength) for number in range(count))
                try:
                    clip = PolicyClip(Policy(5, count, edges, padding=padding))
                except PolicyError:
                    continue
                assert clip(images).isfinite().all(), strength
                assert clip(images.clone().requires_grad_()).isfinite().all(), strength


def test_a_value_that_cannot_be_printed_is_told_by_its_type() -> None:
    with pytest.raises(PolicyError, match='num_frames is a int that is too large to print'):
        Policy(10**5000, 1, (PolicyEdge(0, 2, 'rotate', 1.0),))


def test_an_origin_that_is_too_deep_is_refused_before_the_file_is_touched(tmp_path: Path) -> None:
    origin: list = []
    for _ in range(10**4):
        origin = [origin]
    policy = Policy(4, 1, (PolicyEdge(0, 2, 'rotate', 1.0),), origin={'deep': origin})
    with pytest.raises(PolicyError, match='origin cannot be written'):
        policy.save(tmp_path / 'policy.json')
    assert not list(tmp_path.iterdir())


def test_a_file_as_deep_as_allowed_is_read(tmp_path: Path) -> None:
    depth = MAX_DEPTH - 2
    (tmp_path / 'policy.json').write_text(text(origin={'a': 5}).replace('5}', '[' * depth + ']' * depth + '}'))
    assert load_policy(tmp_path / 'policy.json').num_frames == 4


@pytest.mark.parametrize('num_nodes', [1, 2, 5, 9])
def test_needed_nodes_are_those_that_a_search_from_the_end_finds(num_nodes: int) -> None:
    policy = Policy.random(4, num_nodes=num_nodes, seed=num_nodes)
    pairs = [(edge.source, edge.target) for edge in policy.edges]
    found = {num_nodes + 1}
    for target in range(num_nodes + 1, -1, -1):
        if target in found:
            found |= {source for source, end in pairs if end == target}
    assert needed_nodes(pairs, num_nodes + 1) == found
