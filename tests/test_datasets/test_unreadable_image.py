from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image


def load(path: Path) -> dict:
    return LoadImageFromFile()({'img_path': str(path)})


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / 'missing.jpg')):
        load(tmp_path / 'missing.jpg')


@pytest.mark.parametrize('kept', [0.1, 0.9])
def test_a_truncated_image_is_named(tmp_path, kept):
    path = tmp_path / 'truncated.jpg'
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(AssertionError, match=f'failed to load image: {path}'):
        load(path)


def test_a_file_that_is_no_image_is_named(tmp_path):
    path = tmp_path / 'garbage.jpg'
    path.write_bytes(b'not an image')
    with pytest.raises(AssertionError, match=f'failed to load image: {path}'):
        load(path)
