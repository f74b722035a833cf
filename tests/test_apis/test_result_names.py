"""Files of results are named by the images, and no two share a name."""

import numpy as np
import pytest

from mmdas.apis.result_names import ResultNames

ARRAY = np.zeros((2, 2, 3), np.uint8)


def names_of(names: ResultNames, *images, folder: str = 'out') -> list[str]:
    return names(names.keys(images), folder)


@pytest.mark.parametrize(
    ('images', 'expected'),
    [
        (['x.png', 'a/y.jpg'], ['x', 'y']),
        (['a/x.png', 'b/x.png', 'b/y.png'], ['a_x', 'b_x', 'y']),
        (['x.png', 'a/x.png', 'a/b/x.png'], ['x', 'a_x', 'a_b_x']),
        (['a/x.png', 'a/x.jpg'], ['x_png', 'x_jpg']),
        (['a/X.png', 'b/x.png'], ['a_X', 'b_x']),
        (['a/x.png', 'b/x.png', 'a_x.png'], ['a_x_png', 'b_x', 'a_x_png_2']),
        (['x.png', 'x.png'], ['x', 'x']),
        (['x.y.png'], ['x.y']),
        (['https://host/a/x.png?size=2', 'https://host/b/y.png'], ['x', 'y']),
        ([ARRAY, 'x.png', ARRAY], ['00000000', 'x', '00000001']),
        ([ARRAY, '00000000.png'], ['00000000', '00000000_png']),
    ],
)
def test_names_are_the_stems_with_what_tells_them_apart(images: list, expected: list[str], monkeypatch):
    monkeypatch.chdir('/')
    assert names_of(ResultNames(), *images) == expected


def test_later_calls_know_the_names_that_were_given():
    names = ResultNames()
    assert names_of(names, 'a/x.png') == ['x']
    assert names_of(names, 'b/x.png') == ['x_2']
    assert names_of(names, 'a/x.png') == ['x']
    assert names_of(names, 'b/x.png', folder='elsewhere') == ['x']


def test_arrays_are_numbered_through_all_calls():
    names = ResultNames()
    assert [names_of(names, ARRAY) for _ in range(2)] == [['00000000'], ['00000001']]
