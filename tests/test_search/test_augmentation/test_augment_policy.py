"""Files of augmentation policies."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mmdas.search import PolicyError, load_policy
from mmdas.search.augmentation import AugmentPolicy, Choice, Stage, SubPolicy, TrajectoryPoint

POLICY = AugmentPolicy(
    (
        SubPolicy((Stage((Choice('invert'), Choice('rotate', (0.0, 20.0), 0.5, 2.0, True)), 2),), 3.0),
        SubPolicy((Stage((Choice('posterize', 4),)), Stage((Choice('shear_x', -0.25),)))),
    ),
    probability=0.35,
    trajectory=(TrajectoryPoint(0.3, (1, 0.5, 1, 1)), TrajectoryPoint(0.2, (0.1, 0.2, 1, 1))),
    fill=(0.1, 0.2, 0.3),
    interpolation='nearest',
    origin={'method': 'ddas', 'seed': 3, 'cost': {'hours': 0.15}},
)
BAD: list[Any] = [
    None,
    True,
    '',
    'x' * 2000,
    -1,
    0,
    2.5,
    float('nan'),
    float('inf'),
    -float('inf'),
    1e300,
    10**400,
    10**5000,
    [],
    [[]],
    [None],
    {},
    {'operation': 'invert'},
    ['a', 'b'],
    [1, 2, 3],
    [2, 1],
]


def places(data: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all fields and entries of plain data."""
    if path[:1] == ('origin',):
        return [path] if len(path) == 1 else []
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path] * bool(path) + [place for key, value in inner for place in places(value, (*path, key))]


def with_value(data: dict, path: tuple, value: Any) -> dict:
    data = copy.deepcopy(data)
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return data


def test_a_file_gives_the_policy_back(tmp_path: Path) -> None:
    POLICY.save(tmp_path / 'policy.json')
    assert AugmentPolicy.load(tmp_path / 'policy.json') == load_policy(tmp_path / 'policy.json') == POLICY


@pytest.mark.parametrize('fill', [0.5, 0, 'border', (0.1, 0.2)])
def test_every_fill_comes_back(tmp_path: Path, fill: Any) -> None:
    policy = AugmentPolicy((SubPolicy((Stage((Choice('invert'),)),)),), fill=fill)
    policy.save(tmp_path / 'policy.json')
    assert AugmentPolicy.load(tmp_path / 'policy.json') == policy


def test_fields_that_may_be_left_out_have_their_defaults() -> None:
    data = {'schema_version': 1, 'sub_policies': [{'stages': [{'choices': [{'operation': 'invert'}]}]}]}
    with pytest.raises(PolicyError, match=r'choices\[0\].magnitude is None'):
        AugmentPolicy.from_dict(with_value(data, ('sub_policies', 0, 'stages', 0, 'choices', 0, 'magnitude'), None))
    assert AugmentPolicy.from_dict(data) == AugmentPolicy((SubPolicy((Stage((Choice('invert'),)),)),))


@pytest.mark.parametrize('path', places(POLICY.to_dict()), ids=lambda path: '.'.join(map(str, path)))
def test_a_wrong_value_in_any_place_is_an_error_that_names_its_field(path: tuple) -> None:
    data = POLICY.to_dict()
    refused = 0
    for value in BAD:
        try:
            policy = AugmentPolicy.from_dict(with_value(data, path, value), 'p.json')
        except PolicyError as error:
            refused += 1
            field = [key for key in path if isinstance(key, str)][-1]
            text = str(error)
            named = {'stages': ('stages', 'repeat'), 'sub_policies': ('sub_policies',)}.get(field, (field,))
            inside = {'sub_policies', 'stages', 'choices', 'trajectory'} & set(path)
            assert text.startswith('p.json: ') and any(name in text for name in (*named, *inside)), (value, text)
            assert len(text) < 1000
        else:
            data_again = AugmentPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))).to_dict()
            assert data_again == policy.to_dict()
    assert refused >= len(BAD) - 5, path


@pytest.mark.parametrize('place', [(), ('sub_policies', 0), ('sub_policies', 0, 'stages', 0), ('trajectory', 0)])
def test_an_unknown_field_is_an_error_that_names_it(place: tuple) -> None:
    data = POLICY.to_dict()
    with pytest.raises(PolicyError, match="unknown fields .'colour'.; known are"):
        AugmentPolicy.from_dict(with_value(data, (*place, 'colour'), 1))


@pytest.mark.parametrize('field', ['schema_version', 'sub_policies'])
def test_a_field_that_must_be_there_is_missed_by_name(field: str) -> None:
    data = POLICY.to_dict()
    del data[field]
    with pytest.raises(PolicyError, match=field):
        AugmentPolicy.from_dict(data)


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '"x"', '{"kind": "augmentation"}', '[' * 5000, '{"a": NaN}'])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / 'policy.json').write_text(text)
    with pytest.raises(PolicyError, match=r'policy\.json'):
        AugmentPolicy.load(tmp_path / 'policy.json')


def test_a_magnitude_that_is_left_out_is_missed_where_there_is_one() -> None:
    data = POLICY.to_dict()
    del data['sub_policies'][0]['stages'][0]['choices'][1]['magnitude']
    with pytest.raises(
        PolicyError, match=r'choices\[1\] has no magnitude, without which rotate does nothing; it takes'
    ):
        AugmentPolicy.from_dict(data)


def test_every_cut_of_a_file_is_an_error(tmp_path: Path) -> None:
    POLICY.save(tmp_path / 'policy.json')
    content = (tmp_path / 'policy.json').read_bytes().rstrip()
    for end in range(0, len(content), 37):
        (tmp_path / 'cut.json').write_bytes(content[:end])
        with pytest.raises(PolicyError, match=r'cut\.json'):
            AugmentPolicy.load(tmp_path / 'cut.json')


@pytest.mark.parametrize(
    ('choice', 'message'),
    [
        (Choice('warp'), "operation is 'warp', expected one of"),
        (Choice('rotate', 200.0), r'magnitude is 200.0, but rotate takes -180 to 180 \(degree\)'),
        (Choice('posterize', 3.0, signed=True), 'with either sign, but posterize takes 0 to 7'),
        (Choice('rotate', (20.0, 10.0)), 'expected the smaller number first'),
        (Choice('rotate', (1.0, 2.0, 3.0)), 'expected a number or two of them'),
        (Choice('invert', 0.5), 'invert takes none; leave it out'),
        (Choice('invert', signed=True), 'invert takes none; leave it out'),
        (Choice('rotate', 1.0, probability=1.2), r'probability is 1.2, expected a number in \[0, 1\]'),
        (Choice('rotate', 1.0, weight=-1), 'weight -1'),
        (Choice('rotate', 1.0, weight=0), 'no positive weight: nothing could be drawn'),
    ],
)
def test_a_choice_that_cannot_be_applied_is_refused(choice: Choice, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        AugmentPolicy((SubPolicy((Stage((choice,)),)),))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'sub_policies': ()}, 'sub_policies is empty'),
        ({'sub_policies': (SubPolicy(()),)}, r'sub_policies\[0\].stages draw 0 operations'),
        ({'sub_policies': (SubPolicy((Stage((Choice('invert'),), 17),)),)}, 'repeat is 17, expected'),
        ({'sub_policies': (SubPolicy((Stage((Choice('invert'),), 9),) * 2),)}, 'draw 18 operations'),
        ({'sub_policies': (SubPolicy((Stage((Choice('invert'),) * 5000),)),)}, '5000 choices, expected at most 4096'),
        ({'trajectory': (TrajectoryPoint(0.5, (1.0,)),)}, r'trajectory\[0\].weights has 1 numbers, .* 4 choices'),
        ({'trajectory': (TrajectoryPoint(0.5, (0, 0, 1, 1)),)}, r'trajectory\[0\] has no positive weights'),
        ({'trajectory': (TrajectoryPoint(2, (1, 1, 1, 1)),)}, r'trajectory\[0\].probability is 2'),
        ({'fill': 2}, 'fill must be'),
        ({'origin': []}, 'origin is a list'),
    ],
)
def test_a_policy_that_cannot_be_drawn_from_is_refused(options: dict, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        AugmentPolicy(**{'sub_policies': POLICY.sub_policies, **options})


def test_an_origin_that_is_no_plain_data_cannot_be_saved(tmp_path: Path) -> None:
    policy = AugmentPolicy(POLICY.sub_policies, origin={'model': object()})
    with pytest.raises(PolicyError, match='origin is no plain data'):
        policy.save(tmp_path / 'policy.json')
    assert not (tmp_path / 'policy.json').exists()


@pytest.mark.parametrize(('progress', 'part'), [(0.0, 0), (0.49, 0), (0.5, 1), (0.99, 1), (1.0, 1)])
def test_a_place_of_the_training_has_its_part_of_the_trajectory(progress: float, part: int) -> None:
    point, policy = POLICY.trajectory[part], POLICY.at(progress)
    assert POLICY.part(progress) == part
    assert policy.probability == point.probability
    assert tuple(choice.weight for choice in policy.choices()) == point.weights
    assert policy.trajectory == () and policy.fill == POLICY.fill
    assert [(choice.operation, choice.magnitude) for choice in policy.choices()] == [
        (choice.operation, choice.magnitude) for choice in POLICY.choices()
    ]


def test_a_policy_without_a_trajectory_is_the_same_everywhere() -> None:
    policy = AugmentPolicy(POLICY.sub_policies)
    assert policy.at(0.0) is policy.at(0.7) is policy


@pytest.mark.parametrize('progress', [-0.01, 1.01, float('nan'), float('inf')])
def test_a_place_outside_the_training_is_refused(progress: float) -> None:
    for policy in (POLICY, AugmentPolicy(POLICY.sub_policies)):
        with pytest.raises(ValueError, match='the part of the training that is done'):
            policy.at(progress)
