"""What an inferencer is given becomes a flat list of images."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdas.apis.image_inputs import as_colour, expand


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, a side file of macOS, a text, and an empty folder."""
    path = tmp_path_factory.mktemp('images')
    for name in ('b.png', 'a.JPG'):
        cv2.imwrite(str(path / name), np.zeros((4, 4, 3), np.uint8))
    (path / '._b.png').write_bytes(b'\0\5\26\7')
    (path / 'notes.txt').write_text('no image')
    (path / 'inner').mkdir()
    return path


def test_lists_of_folders_files_addresses_and_arrays_are_flattened_in_their_order(folder: Path):
    array = np.zeros((4, 4, 3), np.uint8)
    files = [str(folder / 'a.JPG'), str(folder / 'b.png')]
    given = [folder, [files[1], (array, str(folder))], 'https://host/x.png']
    found = expand(given)
    assert found[:3] == [*files, files[1]]
    assert found[3] is array
    assert found[4:] == [*files, given[2]]


@pytest.mark.parametrize('given', [[], [[], ()]])
def test_no_image_at_all_is_refused(given):
    with pytest.raises(ValueError, match='no image is given'):
        expand(given)


@pytest.mark.parametrize(
    ('given', 'error', 'message'),
    [
        ('inner', FileNotFoundError, 'inner holds no image'),
        (['absent.png'], FileNotFoundError, r'there is no image .*absent\.png'),
    ],
)
def test_what_leads_nowhere_is_named(folder: Path, given, error, message):
    given = [folder / name for name in given] if isinstance(given, list) else folder / given
    with pytest.raises(error, match=message):
        expand(given)


def test_what_is_no_image_is_named_with_what_is():
    with pytest.raises(TypeError, match='path or an array .* got int'):
        expand([3])


def test_grey_and_transparent_arrays_become_what_reading_their_files_gives(tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 4), np.uint8)
    for name, image in {'grey': images[..., 0], 'colour': images[..., :3], 'alpha': images}.items():
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
        assert np.array_equal(as_colour(image, 'image 0'), cv2.imread(str(tmp_path / f'{name}.png')))
    assert np.array_equal(as_colour(images[..., :1], 'image 0'), as_colour(images[..., 0], 'image 0'))


@pytest.mark.parametrize('dtype', ['float32', 'uint16', 'bool'])
def test_arrays_of_an_unknown_range_are_refused_with_the_remedy(dtype: str):
    with pytest.raises(TypeError, match=rf'image 3 is an array of {dtype}; give uint8'):
        as_colour(np.zeros((4, 4, 3), dtype), 'image 3')


@pytest.mark.parametrize('shape', [(3, 8, 8), (2, 4, 4, 3), (4,), (0, 4, 3), (4, 4, 2)])
def test_arrays_of_another_shape_are_refused_with_it(shape: tuple):
    with pytest.raises(ValueError, match=r'image 0 is an array of shape \(' + str(shape[0])):
        as_colour(np.zeros(shape, np.uint8), 'image 0')
