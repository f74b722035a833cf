import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdas.search.das import OPERATIONS, SPACES, Policy, PolicyClip, PolicyEdge, PolicyError

EDGES = (
    PolicyEdge(0, 2, 'rotate', 0.1),
    PolicyEdge(1, 2, 'identity', 0.0),
    PolicyEdge(1, 3, 'scale', -0.25),
    PolicyEdge(2, 3, 'noise', 1 / 3),
)
ORIGIN = {'config': 'search.py', 'seed': 3, 'date': '2024-06-17', 'search_cost': {'seconds': 12.5}}


def build_policy(**fields: Any) -> Policy:
    return Policy(**{'num_frames': 4, 'num_nodes': 2, 'edges': EDGES, **fields})


def write(path: Path, **fields: Any) -> Path:
    """A policy file with some fields replaced; None removes a field."""
    data = {**build_policy().to_dict(), **fields}
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not None}))
    return path


def edges_with(position: int, **fields: Any) -> list[dict]:
    """Edges of the policy, one of them with fields replaced or, by None, removed."""
    edges = [dict(vars(edge)) for edge in EDGES]
    edge = {**edges[position], **fields}
    edges[position] = {name: value for name, value in edge.items() if value is not None}
    return edges


@pytest.mark.parametrize('as_path', [str, Path])
@pytest.mark.parametrize(
    'policy',
    [
        build_policy(),
        build_policy(num_frames=1, edges=EDGES[:3]),
        build_policy(
            ramp='mirrored',
            padding='reflection',
            node_reduction='sum',
            operations=SPACES['large'],
            seed=5,
            origin=ORIGIN,
        ),
        Policy.random(16, 'large', 6, seed=9),
    ],
)
def test_saved_policy_loads_as_it_was(policy: Policy, as_path: type, tmp_path: Path) -> None:
    path = as_path(tmp_path / 'policy.json')
    policy.save(path)
    assert Policy.load(path) == policy


def test_file_is_plain_json_with_a_version(tmp_path: Path) -> None:
    path = tmp_path / 'policy.json'
    build_policy(origin=ORIGIN).save(path)
    data = json.loads(path.read_text())
    assert data['schema_version'] == 2
    assert data['reference_size'] is None
    assert data['num_frames'] == 4
    assert data['edges'][2] == {'source': 1, 'target': 3, 'operation': 'scale', 'strength': -0.25}
    assert data['origin'] == ORIGIN


def test_reference_size_comes_back_as_a_pair(tmp_path: Path) -> None:
    path = tmp_path / 'policy.json'
    build_policy(reference_size=(48, 64)).save(path)
    assert Policy.load(path).reference_size == (48, 64)


def test_file_of_version_1_has_no_reference_size() -> None:
    old = build_policy().to_dict() | {'schema_version': 1}
    with pytest.raises(PolicyError, match='belongs to schema_version 2'):
        Policy.from_dict(old)
    del old['reference_size']
    assert Policy.from_dict(old) == build_policy()


def test_optional_fields_have_defaults(tmp_path: Path) -> None:
    optional = ('ramp', 'padding', 'node_reduction', 'operations', 'seed', 'origin')
    assert Policy.load(write(tmp_path / 'policy.json', **dict.fromkeys(optional))) == build_policy()


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'schema_version': 3}, 'schema_version is 3'),
        ({'schema_version': '1'}, "schema_version is '1'"),
        ({'schema_version': None}, 'schema_version is None'),
        ({'reference_size': [48]}, 'reference_size must be (H, W), two positive integers, got [48]'),
        ({'reference_size': [48, -1]}, 'reference_size must be (H, W), two positive integers, got [48, -1]'),
        ({'num_frames': None}, "missing fields ['num_frames']"),
        ({'edges': None}, "missing fields ['edges']"),
        ({'colour': 'red'}, "unknown fields ['colour']"),
        ({'num_frames': 0}, 'num_frames is 0'),
        ({'num_frames': -3}, 'num_frames is -3'),
        ({'num_frames': 2.5}, 'num_frames is 2.5'),
        ({'num_frames': True}, 'num_frames is True'),
        ({'num_frames': '4'}, "num_frames is '4'"),
        ({'num_nodes': 0}, 'num_nodes is 0'),
        ({'seed': -1}, 'seed is -1'),
        ({'ramp': 'up'}, "ramp is 'up'"),
        ({'ramp': ['signed']}, "ramp is ['signed']"),
        ({'padding': 'circular'}, "padding is 'circular'"),
        ({'node_reduction': 'max'}, "node_reduction is 'max'"),
        ({'operations': ['rotate', 'twist']}, "operations holds ['twist']"),
        ({'operations': [['rotate']]}, "operations holds [['rotate']]"),
        ({'operations': 'paper'}, 'operations is a str'),
        ({'origin': 'search.py'}, 'origin is a str'),
        ({'edges': 5}, 'edges is a int'),
        ({'edges': {}}, 'edges is a dict'),
        ({'edges': []}, 'no edge ends in node 2'),
        ({'edges': edges_with(0)[:2]}, 'edges has a missing edge: no edge ends in node 3'),
        ({'edges': edges_with(0)[2:]}, 'edges has a missing edge: no edge ends in node 2'),
        ({'edges': edges_with(0) + edges_with(0)[3:]}, 'edges holds [(2, 3)] more than once'),
        ({'edges': [5]}, 'edges[0]: expected a JSON object, got int'),
        ({'edges': edges_with(3, strength=None)}, "edges[3]: missing fields ['strength']"),
        ({'edges': edges_with(1, weight=1)}, "unknown fields ['weight']"),
        ({'edges': edges_with(1, operation='twist')}, "edges[1].operation is 'twist'"),
        ({'edges': edges_with(1, operation=['rotate'])}, "edges[1].operation is ['rotate']"),
        ({'edges': edges_with(2, source=3)}, 'edges[2] runs from node 3 to 3: a cycle'),
        ({'edges': edges_with(0, source=3)}, 'edges[0] runs from node 3 to 2: a cycle'),
        ({'edges': edges_with(0, source=0, target=1)}, 'edges[0].target is 1, an input node'),
        ({'edges': edges_with(3, target=4)}, 'edges[3].target is 4'),
        ({'edges': edges_with(3, source=-1)}, 'edges[3].source is -1'),
        ({'edges': edges_with(3, source=2.0)}, 'edges[3].source is 2.0'),
        ({'edges': edges_with(3, source=True)}, 'edges[3].source is True'),
        ({'edges': edges_with(0, strength='10')}, "edges[0].strength is '10'"),
        ({'edges': edges_with(0, strength=True)}, 'edges[0].strength is True'),
        ({'edges': edges_with(0, strength=float('nan'))}, 'edges[0].strength is nan'),
        ({'edges': edges_with(0, strength=float('inf'))}, 'edges[0].strength is inf'),
        ({'edges': edges_with(0, strength=float('-inf'))}, 'edges[0].strength is -inf'),
        ({'edges': edges_with(0, strength=1e39)}, 'edges[0].strength is 1e+39'),  # infinite in single precision
        ({'edges': edges_with(2, strength=-1)}, 'edges[2].strength is -1, but scale needs more than -1'),
    ],
)
def test_unusable_file_is_refused_by_file_and_field(fields: dict, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / 'policy.json', **fields)
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    assert str(caught.value).startswith(f'{path}: ')
    assert message in str(caught.value)


@pytest.mark.parametrize('word', ['NaN', 'Infinity', '-Infinity', '1e999'])
def test_number_that_is_none_is_refused_in_any_spelling(word: str, tmp_path: Path) -> None:
    path = write(tmp_path / 'policy.json', edges=edges_with(3, strength=12345))
    path.write_text(path.read_text().replace('12345', word))
    with pytest.raises(PolicyError, match=r'policy.json: edges\[3\].strength'):
        Policy.load(path)


@pytest.mark.parametrize('content', [b'', b'{"num_frames": 4,', b'\xff\xfe\x00'])
def test_file_that_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / 'policy.json'
    path.write_bytes(content)
    with pytest.raises(PolicyError, match='policy.json: not a JSON file'):
        Policy.load(path)


@pytest.mark.parametrize('content', ['[]', '5', 'null'])
def test_json_that_is_not_an_object_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / 'policy.json'
    path.write_text(content)
    with pytest.raises(PolicyError, match='policy.json: expected a JSON object'):
        Policy.load(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no policy at .*absent\.json'):
        Policy.load(tmp_path / 'absent.json')


def test_policy_made_in_code_is_checked_as_well() -> None:
    with pytest.raises(PolicyError, match='num_frames is 0'):
        build_policy(num_frames=0)


def test_plain_data_is_refused_by_the_name_it_is_given() -> None:
    with pytest.raises(PolicyError, match='^data_preprocessor.policy: ramp'):
        Policy.from_dict({**build_policy().to_dict(), 'ramp': 'up'}, 'data_preprocessor.policy')


def test_plain_data_is_not_changed_by_reading_it() -> None:
    data = build_policy().to_dict()
    Policy.from_dict(data)
    assert data == build_policy().to_dict()


@pytest.mark.parametrize('origin', [{'cost': float('nan')}, {'config': object()}])
def test_origin_that_json_cannot_hold_is_refused_before_the_file_is_touched(origin: dict, tmp_path: Path) -> None:
    path = tmp_path / 'policy.json'
    build_policy().save(path)
    with pytest.raises(PolicyError, match=r'policy\.json: origin'):
        build_policy(origin=origin).save(path)
    assert Policy.load(path) == build_policy()


@pytest.mark.parametrize('seed', range(40))
def test_random_policy_has_two_edges_into_every_node(seed: int) -> None:
    policy = Policy.random(4, 'large', num_nodes=5, seed=seed)
    for node in range(2, 7):
        sources = [edge.source for edge in policy.edges if edge.target == node]
        assert len(set(sources)) == len(sources) == 2
        assert max(sources) < node
    for edge in policy.edges:
        assert OPERATIONS[edge.operation].low <= edge.strength <= OPERATIONS[edge.operation].high


def test_random_policy_is_drawn_by_its_seed() -> None:
    assert Policy.random(4, seed=3) == Policy.random(4, seed=3)
    assert Policy.random(4, seed=3).seed == 3
    assert len({Policy.random(4, seed=seed).edges for seed in range(20)}) == 20


def test_random_policies_draw_every_operation_and_source() -> None:
    edges = [edge for seed in range(60) for edge in Policy.random(4, 'large', seed=seed).edges]
    assert {edge.operation for edge in edges} == set(SPACES['large'])
    assert {edge.source for edge in edges if edge.target == 5} == set(range(5))


def test_random_policy_takes_space_ranges_and_further_fields() -> None:
    policy = Policy.random(4, ['rotate'], ranges={'rotate': (1, 2)}, ramp='mirrored', origin={'why': 'baseline'})
    assert {edge.operation for edge in policy.edges} == {'rotate'}
    assert all(1 <= edge.strength <= 2 for edge in policy.edges)
    assert (policy.operations, policy.ramp, policy.origin) == (('rotate',), 'mirrored', {'why': 'baseline'})


def test_random_policy_shares_strengths_on_request():
    policies = [Policy.random(4, num_nodes=8, share_strength=True, seed=seed) for seed in range(5)]
    for policy in policies:
        strengths = {}
        for edge in policy.edges:
            strengths.setdefault(edge.operation, set()).add(edge.strength)
        assert all(len(values) == 1 for values in strengths.values())


@pytest.mark.parametrize(
    ('edges', 'repeats'),
    [
        ([(0, 2, 'identity'), (2, 3, 'identity')], True),
        ([(0, 2, 'rotate'), (1, 3, 'identity')], True),  # the rotation leads nowhere
        ([(0, 2, 'rotate'), (2, 3, 'identity')], False),
        ([(0, 2, 'identity'), (2, 3, 'invert')], False),
    ],
)
def test_policy_repeats_the_image_exactly_where_its_frames_are_equal(edges: list, repeats: bool) -> None:
    policy = Policy(3, 2, tuple(PolicyEdge(*edge, 0.0 if edge[2] == 'identity' else 0.3) for edge in edges))
    assert policy.repeats_image == repeats
    images = torch.rand(2, 3, 8, 8)
    clip = PolicyClip(policy)(images)
    assert torch.equal(clip, images.repeat(1, 3, 1, 1)) == repeats


def test_sum_of_images_is_not_the_image() -> None:
    edges = PolicyEdge(0, 2, 'identity', 0.0), PolicyEdge(1, 2, 'identity', 0.0)
    assert Policy(2, 1, edges).repeats_image
    assert not Policy(2, 1, edges, node_reduction='sum').repeats_image


def with_edge(position: int, **fields: Any) -> tuple[PolicyEdge, ...]:
    return tuple(PolicyEdge(**edge) for edge in edges_with(position, **fields))


SAME = {
    'origin': dict(origin=ORIGIN),
    'searched operations': dict(operations=SPACES['large']),
    'order of the edges': dict(edges=EDGES[::-1]),
    'strength of the identity': dict(edges=with_edge(1, strength=0.5)),
}
OTHER = {
    'strength': dict(edges=with_edge(0, strength=0.2)),
    'operation': dict(edges=with_edge(0, operation='shear_x')),
    'source': dict(edges=(*EDGES[:2], PolicyEdge(2, 3, 'scale', -0.25), PolicyEdge(1, 3, 'noise', 1 / 3))),
    'ramp': dict(ramp='mirrored'),
    'padding': dict(padding='border'),
    'reduction': dict(node_reduction='sum'),
    'seed of the noise': dict(seed=1),
}


@pytest.mark.parametrize('change', [*SAME, *OTHER])
def test_content_is_equal_exactly_where_the_clips_are(change: str) -> None:
    policies = build_policy(), build_policy(**(SAME | OTHER)[change])
    images = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    first, second = (PolicyClip(policy).eval()(images) for policy in policies)
    assert torch.allclose(first, second, atol=1e-5) == (change in SAME)
    assert (policies[0].content() == policies[1].content()) == (change in SAME)


def test_content_depends_on_no_edge_that_the_clip_does_not_and_on_no_seed_without_draws() -> None:
    edges = (PolicyEdge(0, 2, 'noise', 0.1), PolicyEdge(0, 3, 'rotate', 1.0))  # node 2 leads nowhere
    policy = build_policy(edges=edges)
    other = build_policy(edges=(PolicyEdge(1, 2, 'noise', 0.2), edges[1]), seed=7)
    assert policy.content() == other.content()
    assert json.loads(json.dumps(policy.content())) == policy.content()
