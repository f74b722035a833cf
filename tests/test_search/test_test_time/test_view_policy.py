"""The file of a policy of test time."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdas.search import PolicyError, load_policy
from mmdas.search.das import Policy
from mmdas.search.test_time import View, ViewPolicy

VIEWS = (View(), View(flip=True), View('rotate', -8.0, flip=True, size=1.25))
ORIGIN = {'scores': {'image': 40.5, 'views': 41.0}, 'seed': 3}


def build(**fields: Any) -> ViewPolicy:
    return ViewPolicy(**{'views': VIEWS, 'weights': (0.5, 0.3, 0.2), 'origin': ORIGIN, **fields})


def write(path: Path, **fields: Any) -> Path:
    """A file with some fields replaced; None removes a field."""
    data = {**build().to_dict(), **fields}
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not None}))
    return path


@pytest.mark.parametrize('policy', [build(), ViewPolicy(), build(views=VIEWS[1:2], weights=(1.0,))])
def test_saved_policy_loads_as_it_was(policy: ViewPolicy, tmp_path: Path):
    policy.save(tmp_path / 'views.json')
    assert ViewPolicy.load(tmp_path / 'views.json') == policy
    assert load_policy(tmp_path / 'views.json') == policy


def test_fields_that_say_nothing_may_be_left_out(tmp_path: Path):
    path = write(tmp_path / 'views.json', origin=None, views=[{'weight': 1, 'flip': True}])
    assert ViewPolicy.load(path) == ViewPolicy((View(flip=True),), (1,))


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (dict(schema_version=2), 'schema_version is 2.*search again'),
        (dict(schema_version=True), 'schema_version is True'),
        (dict(kind='other'), "kind is 'other'"),
        (dict(views='flip'), 'views is a str'),
        (dict(views=[]), 'has 0 views'),
        (dict(views=None), "missing fields.*'views'"),
        (dict(colour=3), "unknown fields.*'colour'"),
        (dict(views=[3]), r'views\[0\]: expected a JSON object'),
        (dict(views=[{'flip': True}]), r"views\[0\]: missing fields \['weight'\]"),
        (dict(views=[{'weight': 1.0, 'turn': 3}]), r"views\[0\].*unknown fields \['turn'\]"),
        (dict(views=[{'weight': 1.0, 'operation': 'twist'}]), r"views\[0\].operation is 'twist'"),
        (dict(views=[{'weight': 1.0, 'operation': ['rotate']}]), r'views\[0\].operation is'),
        (dict(views=[{'weight': '1'}]), r"views\[0\].weight is '1'"),
        (dict(views=[{'weight': 0.0}, {'weight': 1.0, 'flip': True}]), r'views\[0\].weight is 0.0'),
        (dict(views=[{'weight': 0.4}, {'weight': 0.4, 'flip': True}]), 'sum of the weights is 0.8'),
        (dict(views=[{'weight': 0.5}, {'weight': 0.5}]), 'more than once'),
        (dict(views=[{'weight': 1.0, 'operation': 'rotate', 'magnitude': 5}]), 'warps alone'),
        (dict(views=[{'weight': 1.0}] * 100), 'from 1 to 64'),
        (dict(origin=[1]), 'origin is a list'),
    ],
)
def test_damaged_file_is_refused_by_its_field(fields: dict, message: str, tmp_path: Path):
    path = write(tmp_path / 'views.json', **fields)
    with pytest.raises(PolicyError, match=message) as error:
        ViewPolicy.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize('content', ['', '[]', '{', '{"kind": "test-time", "views": [{"weight": NaN}]}', '\x00'])
def test_file_that_is_no_policy_is_refused(content: str, tmp_path: Path):
    path = tmp_path / 'views.json'
    path.write_text(content)
    with pytest.raises(PolicyError, match='views.json'):
        ViewPolicy.load(path)


def test_kinds_are_not_confused(tmp_path: Path):
    build().save(tmp_path / 'views.json')
    Policy.random(4).save(tmp_path / 'clip.json')
    with pytest.raises(PolicyError, match="kind is 'test-time', which ViewPolicy reads"):
        Policy.load(tmp_path / 'views.json')
    with pytest.raises(PolicyError, match="kind is 'das', which Policy reads"):
        ViewPolicy.load(tmp_path / 'clip.json')


def test_origin_that_is_no_json_is_refused(tmp_path: Path):
    with pytest.raises(PolicyError, match='origin cannot be written'):
        build(origin={'x': object()}).save(tmp_path / 'views.json')


def test_cost_counts_the_pixels_of_all_views():
    assert build().cost == pytest.approx(2 + 1.25**2)
    assert ViewPolicy().is_image and not build().is_image
