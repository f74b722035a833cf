import copy
import pickle
from collections.abc import Callable

import pytest

from mmdas.search.das.fast.size_cache import SizeCache


class Workshop:
    """A cache whose entries count how often their key was made."""

    def __init__(self, patience: int = 0) -> None:
        self.cache: SizeCache[tuple] = SizeCache()
        self.patience = patience
        self.made: list = []

    def get(self, key: object) -> tuple | None:
        return self.cache.get(key, lambda: self._make(key), self.patience)

    def _make(self, key: object) -> tuple:
        self.made.append(key)
        return key, self.made.count(key)


def test_entry_is_made_once_and_kept() -> None:
    shop = Workshop()
    first = shop.get((3, 4))
    assert first == ((3, 4), 1)
    assert all(shop.get((3, 4)) is first for _ in range(5))
    assert shop.made == [(3, 4)]


def test_two_keys_are_kept_in_turn() -> None:
    shop = Workshop()
    for key in 'ababbaab':
        assert shop.get(key) == (key, 1)
    assert shop.made == ['a', 'b']


@pytest.mark.parametrize(
    ('keys', 'made'),
    [
        ('abcbc', 'abc'),  # a was the oldest
        ('abacac', 'abc'),  # a was used after b
        ('abaca', 'abc'),
        ('abacb', 'abcb'),
        ('abca', 'abca'),
        ('abcabc', 'abcabc'),  # three keys in turn are too many
        ('abbca', 'abca'),
    ],
)
def test_what_was_not_used_for_the_longest_time_goes_first(keys: str, made: str) -> None:
    shop = Workshop()
    for key in keys:
        assert shop.get(key)[0] == key
    assert shop.made == list(made)


def test_what_went_is_not_held() -> None:
    shop = Workshop()
    for key in 'abcdefg':
        shop.get(key)
    assert len(shop.cache._entries) == 2


@pytest.mark.parametrize('patience', [1, 2, 5])
def test_entry_is_made_after_so_many_calls_in_a_row(patience: int) -> None:
    shop = Workshop(patience)
    assert [shop.get('a') for _ in range(patience)] == [None] * patience
    assert not shop.made
    assert shop.get('a') == shop.get('a') == ('a', 1)


def test_keys_that_alternate_are_never_made() -> None:
    shop = Workshop(patience=1)
    assert [shop.get(key) for key in 'abababab'] == [None] * 8
    assert not shop.made


def test_patience_starts_again_with_every_other_key() -> None:
    shop = Workshop(patience=2)
    assert [shop.get(key) for key in 'aabaab'] == [None] * 6
    assert [shop.get(key) for key in 'bb'] == [None, ('b', 1)]


def test_entry_that_is_there_is_given_whatever_the_patience() -> None:
    shop = Workshop()
    shop.get('a')
    shop.patience = 3
    assert shop.get('a') == ('a', 1)
    assert shop.get('b') is None


def test_calls_that_are_not_answered_take_no_place() -> None:
    shop = Workshop()
    shop.get('a'), shop.get('b')
    shop.patience = 1
    for key in 'cdcdcd':
        shop.get(key)
    assert shop.get('a') == ('a', 1)
    assert shop.get('b') == ('b', 1)


def test_maker_that_fails_is_asked_again() -> None:
    shop, cache = Workshop(), SizeCache()
    with pytest.raises(ZeroDivisionError):
        cache.get('a', lambda: 1 / 0)
    assert cache.get('a', lambda: shop._make('a')) == ('a', 1)


@pytest.mark.parametrize('duplicate', [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_copy_starts_empty_and_leaves_the_original_as_it_is(duplicate: Callable) -> None:
    shop = Workshop()
    original = shop.get('a')
    copied = duplicate(shop.cache)
    assert copied.get('a', lambda: 'made anew') == 'made anew'
    assert shop.get('a') is original
    assert shop.made == ['a']
