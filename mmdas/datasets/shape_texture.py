"""Digits with textures: which of the two a classifier goes by (after Geirhos et al., ICLR 2019)."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmpretrain.datasets import BaseDataset
from sklearn.datasets import load_digits

from mmdas.registry import DATASETS

CLASSES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
SPLITS = ('train', 'test')
CUES = ('agree', 'shape', 'conflict')
TEST_FRACTION = 0.3  # of the handwritten digits
NO_TEXTURE = -1

SIDE = (0.7, 0.95)  # of a digit, of the image's side
ROTATION = 20.0  # degrees, both ways
CONTRAST = (30.0, 65.0)  # of the digit, brighter or darker than what lies around it
STRIPES = 9.0  # amplitude
PERIODS = (3.0, 5.0)  # pixels; of each there are five directions
TINT = 6.0  # distance of a texture's colour from grey
JITTER = 22.0  # deviation of each colour of an image
NOISE = 14.0


@DATASETS.register_module()
class ShapeTextureDigits(BaseDataset):
    """Handwritten digits in front of and filled with stripes, made in memory.

    Each class is a digit, the *shape*, and has a *texture*: stripes of a direction, a period and a colour. In training
    images both agree, so that a classifier may learn either. Test images tell which it has learned. The digits are
    those of scikit-learn (8 x 8 pixels); training and test use different ones. The same settings give the same images.

    Samples have ``img`` (RGB), ``gt_label``, the class of the shape, and ``gt_texture``, that of the texture, or -1
    where there are no stripes.

    Args:
        split: ``'train'`` or ``'test'``. Default: ``'train'``.
        cues: kinds of images, one or more of ``'agree'`` (texture and shape are of one class), ``'shape'`` (no
            texture) and ``'conflict'`` (texture of another class, each of the nine as often). Default: ``'agree'`` for
            the training, all three for the test.
        per_class: images of each class and kind, >= 1. Default: 200.
        size: side in pixels, >= 16. Default: 32.
        seed: of everything that is random. Default: 0.
        **kwargs: those of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        ValueError: for an unknown split or kind, or a number below its bound.
    """

    METAINFO = {'classes': CLASSES}

    def __init__(
        self,
        split: str = 'train',
        cues: Sequence[str] | None = None,
        per_class: int = 200,
        size: int = 32,
        seed: int = 0,
        **kwargs,
    ) -> None:
        self.split = split
        self.cues = tuple(cues) if cues is not None else CUES[:1] if split == 'train' else CUES
        if split not in SPLITS:
            raise ValueError(f'split of ShapeTextureDigits must be one of {SPLITS}, got {split!r}')
        if not self.cues or set(self.cues) - set(CUES):
            raise ValueError(f'cues of ShapeTextureDigits must be of {CUES}, got {self.cues}')
        for name, value, least in (('per_class', per_class, 1), ('size', size, 16)):
            if value < least:
                raise ValueError(f'{name} of ShapeTextureDigits must be at least {least}, got {value}')
        self.per_class, self.size, self.seed = per_class, size, seed
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Draw all images."""
        images, values = digits_of(self.split, self.seed)
        made = []
        for cue in self.cues:
            for number in range(self.per_class * len(CLASSES)):
                # A stream of its own for every image: a larger set begins with the images of a smaller one.
                rng = np.random.default_rng((self.seed, SPLITS.index(self.split), CUES.index(cue), number))
                shape = number % len(CLASSES)
                texture = texture_of(cue, shape, number // len(CLASSES))
                digit = images[rng.choice(np.flatnonzero(values == shape))]
                image = draw_image(rng, digit, texture, self.size)
                made.append({'img': image, 'gt_label': shape, 'gt_texture': texture})
        return made


def digits_of(split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits (N, 8, 8), ink in [0, 1], and their values (N,) that a split draws from; no digit is in both."""
    source = load_digits()
    order = np.random.default_rng(seed).permutation(len(source.target))
    count = round(TEST_FRACTION * len(order))
    chosen = order[:count] if split == 'test' else order[count:]
    return (source.images[chosen] / 16).astype(np.float32), source.target[chosen]


def texture_of(cue: str, shape: int, number: int) -> int:
    """Class of the texture of the ``number``-th image of a shape."""
    if cue == 'shape':
        return NO_TEXTURE
    return shape if cue == 'agree' else (shape + 1 + number % (len(CLASSES) - 1)) % len(CLASSES)


def draw_image(rng: np.random.Generator, digit: np.ndarray, texture: int, size: int) -> np.ndarray:
    """An image (size, size, 3), uint8, of a digit (8, 8) and a texture that covers all of it, or of none."""
    ink = draw_digit(rng, digit, size)
    scene = rng.uniform(100, 150) + rng.normal(0, JITTER, 3) + draw_texture(rng, texture, size)
    contrast = rng.uniform(*CONTRAST) * rng.choice([-1, 1])
    scene = scene + contrast * (ink[..., None] - 0.3) + rng.normal(0, NOISE, (size, size, 3))
    return np.clip(scene, 0, 255).astype(np.uint8)


def draw_digit(rng: np.random.Generator, digit: np.ndarray, size: int) -> np.ndarray:
    """A digit enlarged, turned and put near the middle: ink (size, size) in [0, 1]."""
    side, middle = rng.uniform(*SIDE) * size, (digit.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-ROTATION, ROTATION), side / digit.shape[0])
    matrix[:, 2] += (size - 1) / 2 + rng.uniform(-0.08, 0.08, 2) * size - middle
    ink = cv2.warpAffine(digit, matrix, (size, size), flags=cv2.INTER_CUBIC)
    return np.clip((ink - 0.45) / 0.3 + 0.5, 0, 1)


def draw_texture(rng: np.random.Generator, texture: int, size: int) -> np.ndarray:
    """Stripes and tint of a class, (size, size, 3), about 0; zeros for none."""
    if texture == NO_TEXTURE:
        return np.zeros((size, size, 3))
    directions = len(CLASSES) // len(PERIODS)
    angle = np.pi * (texture % directions) / directions + rng.normal(0, 0.06)
    period = PERIODS[texture // directions]
    rows, columns = np.mgrid[:size, :size]
    distance = columns * np.cos(angle) + rows * np.sin(angle)
    stripes = STRIPES * np.sin(2 * np.pi * distance / period + rng.uniform(0, 2 * np.pi))
    return stripes[..., None] + TINT * tint(texture)


def tint(texture: int) -> np.ndarray:
    """Direction of a texture's colour from grey, of length 1, around the circle of hues."""
    hue = 2 * np.pi * texture / len(CLASSES)
    first, second = np.array([2, -1, -1]) / 6**0.5, np.array([0, 1, -1]) / 2**0.5
    return np.cos(hue) * first + np.sin(hue) * second
