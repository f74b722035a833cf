import json
from pathlib import Path

import pytest

from mmdas.search import PolicyError, load_policy, register_policy
from mmdas.search.das import Policy


@register_policy('constant')
class Constant:
    def __init__(self, value: int) -> None:
        self.value = value

    @classmethod
    def from_dict(cls, data: dict, where: str) -> 'Constant':
        return cls(data['value'])


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize('fields', [{}, {'kind': 'das'}])
def test_a_file_without_a_kind_is_a_policy_of_das(tmp_path, fields):
    policy = Policy.random(4)
    path = write(tmp_path / 'policy.json', {**policy.to_dict(), **fields})
    assert load_policy(path) == Policy.load(path) == policy


def test_files_of_das_are_as_those_of_earlier_releases():
    assert 'kind' not in Policy.random(4).to_dict()


def test_the_kind_of_a_file_decides_who_reads_it(tmp_path):
    found = load_policy(write(tmp_path / 'policy.json', {'kind': 'constant', 'value': 3}))
    assert (type(found), found.value) == (Constant, 3)


@pytest.mark.parametrize('kind', ['unheard', None, ['das']])
def test_an_unknown_kind_is_an_error_that_names_it_and_the_known_ones(tmp_path, kind):
    path = write(tmp_path / 'policy.json', {'kind': kind})
    with pytest.raises(PolicyError, match="known are .*'constant', 'das'") as error:
        load_policy(path)
    assert f'{path}: kind is {kind!r}' in str(error.value)


def test_a_policy_of_das_refuses_a_file_of_another_kind(tmp_path):
    with pytest.raises(
        PolicyError,
        match="kind is 'constant', which Constant reads; here 'das' is expected, .* mmdas.search.load_policy",
    ):
        Policy.load(write(tmp_path / 'policy.json', {'kind': 'constant', 'value': 3}))


@pytest.mark.parametrize(('text', 'message'), [('{', 'not a JSON file'), ('[1]', 'expected a JSON object, got list')])
def test_a_file_that_holds_no_policy_is_named(tmp_path, text, message):
    (tmp_path / 'policy.json').write_text(text)
    with pytest.raises(PolicyError, match=message) as error:
        load_policy(tmp_path / 'policy.json')
    assert str(tmp_path / 'policy.json') in str(error.value)


def test_an_absent_file_says_what_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match='run its search first'):
        load_policy(tmp_path / 'policy.json')


def test_a_kind_has_one_reader():
    register_policy('constant')(Constant)  # a cell of a notebook runs again
    with pytest.raises(ValueError, match="the kind 'constant' are read by Constant"):
        register_policy('constant')(Policy)
