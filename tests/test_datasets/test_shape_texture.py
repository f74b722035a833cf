"""Digits with textures: which cues an image holds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmdas.datasets import ShapeTextureDigits
from mmdas.datasets.shape_texture import digits_of, draw_digit, draw_texture, texture_of


def infos(dataset: ShapeTextureDigits) -> list[dict]:
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def pairs(dataset: ShapeTextureDigits) -> np.ndarray:
    return np.array([(info['gt_label'], info['gt_texture']) for info in infos(dataset)])


def test_training_images_agree_and_every_class_is_as_frequent():
    shape, texture = pairs(ShapeTextureDigits('train', per_class=3)).T
    assert (shape == texture).all()
    assert np.bincount(shape).tolist() == [3] * 10


def test_test_images_are_of_all_kinds():
    found = pairs(ShapeTextureDigits('test', per_class=9)).reshape(3, 90, 2)
    agree, shape, conflict = found
    assert (agree[:, 0] == agree[:, 1]).all() and (shape[:, 1] == -1).all()
    assert len({tuple(pair) for pair in conflict}) == 90 and (conflict[:, 0] != conflict[:, 1]).all()


@pytest.mark.slow
def test_same_settings_give_the_same_images_and_a_larger_set_begins_with_them():
    small, large = (infos(ShapeTextureDigits('train', per_class=number)) for number in (2, 4))
    other = infos(ShapeTextureDigits('train', per_class=2, seed=1))
    assert all(np.array_equal(first['img'], second['img']) for first, second in zip(small, large, strict=False))
    assert not any(np.array_equal(first['img'], second['img']) for first, second in zip(small, other, strict=True))


def test_no_digit_is_in_both_splits():
    images = {split: {digit.tobytes() for digit in digits_of(split, 0)[0]} for split in ('train', 'test')}
    assert not images['train'] & images['test']
    assert sum(map(len, images.values())) > 1780


def spectrum(rng: np.random.Generator, texture: int) -> np.ndarray:
    grey = draw_texture(rng, texture, 32).mean(2)
    return np.abs(np.fft.fft2(grey))[:, :17].ravel()


def test_spectrum_tells_the_texture_whatever_its_phase():
    rng = np.random.default_rng(0)
    rows, labels = [], np.arange(200) % 10
    rows = np.array([spectrum(rng, label) for label in labels])
    model = LogisticRegression(max_iter=200).fit(rows[:100], labels[:100])
    assert model.score(rows[100:], labels[100:]) > 0.95


def test_images_without_stripes_still_show_the_digit():
    rng = np.random.default_rng(0)
    digits, values = digits_of('train', 0)
    inks = np.array([draw_digit(rng, digit, 32)[::2, ::2].ravel() for digit in digits[:900]])
    model = LogisticRegression(C=0.1, max_iter=500).fit(inks[:600], values[:600])
    assert model.score(inks[600:], values[600:900]) > 0.7
    assert not draw_texture(rng, -1, 32).any()


def test_conflict_takes_each_other_class_as_often():
    textures = [texture_of('conflict', 3, number) for number in range(18)]
    assert sorted(textures) == sorted([0, 1, 2, 4, 5, 6, 7, 8, 9] * 2)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(split='val'), "split of ShapeTextureDigits must be one of .*, got 'val'"),
        (dict(cues=['both']), r"cues of ShapeTextureDigits must be of .*, got \('both',\)"),
        (dict(cues=[]), r'cues of ShapeTextureDigits must be of .*, got \(\)'),
        (dict(per_class=0), 'per_class of ShapeTextureDigits must be at least 1, got 0'),
        (dict(size=8), 'size of ShapeTextureDigits must be at least 16, got 8'),
    ],
)
def test_settings_outside_their_range(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ShapeTextureDigits(**options)
