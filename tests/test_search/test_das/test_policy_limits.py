"""Policy files of any size and content end soon: with a policy whose clip is finite, or with an error of one screen."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import monotonic

import pytest
import torch
from tool_scripts import load_script

from mmdas.search import PolicyError, load_policy
from mmdas.search.das import OPERATIONS, DASCell, Policy, PolicyClip, PolicyEdge
from mmdas.search.das.topology import needed_nodes
from mmdas.search.policy_file import MAX_DEPTH

INPUTS = load_script('misc/fault_trial/malformed_inputs.py')
text, POLICIES = INPUTS.text, INPUTS.POLICIES


@pytest.mark.parametrize('name', POLICIES)
@pytest.mark.slow
def test_any_file_gives_a_finite_clip_or_a_short_error_in_a_short_time(name: str, tmp_path: Path) -> None:
    content, message = POLICIES[name]
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
        for strengths in STRONGEST:
            accepted = (clip for strength in strengths for clip in clips_of(name, strength, count, padding))
            for clip in islice(accepted, None, None, 4):  # the strongest, and each fourth below
                assert clip(images).isfinite().all(), clip.policy
                assert clip(images.clone().requires_grad_()).isfinite().all(), clip.policy


# From the strongest on: up, down, and towards the scale that makes a point of the image.
STRONGEST = [
    [power(number) for number in reversed(range(40))]
    for power in (lambda number: 10.0**number, lambda number: -(10.0**number), lambda number: 10.0**-number - 1)
]


def clips_of(name: str, strength: float, count: int, padding: str) -> Iterator[PolicyClip]:
    """The clip of a chain of one operation, or nothing where it is refused."""
    edges = tuple(PolicyEdge(number + 1, number + 2, name, strength) for number in range(count))
    with suppress(PolicyError):
        yield PolicyClip(Policy(5, count, edges, padding=padding))


def test_a_search_can_write_what_no_clip_is_made_of(tmp_path: Path) -> None:
    policy = Policy(512, 1, (PolicyEdge(0, 2, 'scale', 0.3),))
    policy.save(tmp_path / 'policy.json')
    for make in (lambda: PolicyClip(policy), lambda: Policy.load(tmp_path / 'policy.json')):
        with pytest.raises(PolicyError, match='reach 1e29 in the outermost of 512 frames'):
            make()


@pytest.mark.parametrize('options', [dict(num_frames=1025), dict(num_frames=4, num_nodes=257)])
def test_a_cell_that_no_policy_could_hold_is_refused_before_the_search(options: dict) -> None:
    with pytest.raises(ValueError, match='at most 1024 frames and 256 nodes'):
        DASCell(**options)


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
