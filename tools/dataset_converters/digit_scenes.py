"""Make DigitScenes, a segmentation data set in the folders of Pascal VOC that needs no download.

The handwritten digits that come with scikit-learn (8 x 8 pixels; Alpaydin and Kaynak, UCI, 1998) are enlarged, rotated,
scaled and shifted, and painted in random colours on textured backgrounds, several to a scene. Training and validation
scenes use different digits. The same options give the same scenes.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image
from sklearn.datasets import load_digits

from mmdas.datasets import DigitScenesDataset

SPLITS = ('train', 'val')
VAL_FRACTION = 0.2  # of the digits, not of the scenes
DIGIT_SIDE = (0.45, 0.7)  # of the scene's side: 22 to 34 pixels of 48
ROTATION = 30.0  # degrees, both ways
CONTRAST = (100.0, 170.0)  # distance in RGB, towards the bright side, from what lies under the digit
INK_THRESHOLD = 0.45  # of full ink; the label's edge


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: images (N, 8, 8) with ink in [0, 1], and their values (N,) in 0 .. 9."""

    images: np.ndarray
    values: np.ndarray


def split_digits(seed: int) -> dict[str, np.ndarray]:
    """Indices into ``sklearn.datasets.load_digits`` that each split may draw from; no digit is in both."""
    order = np.random.default_rng(seed).permutation(len(load_digits().target))
    num_val = round(VAL_FRACTION * len(order))
    return {'train': order[num_val:], 'val': order[:num_val]}


def load_split(seed: int) -> dict[str, Digits]:
    """The digits of each split."""
    source = load_digits()
    return {
        split: Digits((source.images[indices] / 16).astype(np.float32), source.target[indices])
        for split, indices in split_digits(seed).items()
    }


def draw_texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Smooth random colours with stripes across: (size, size, 3), about 0 to 210."""
    cells = int(rng.integers(3, 9))
    colours = rng.uniform(50, 140, 3) + rng.uniform(-30, 30, (cells, cells, 3))
    smooth = cv2.resize(colours, (size, size), interpolation=cv2.INTER_CUBIC)
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    period = rng.uniform(0.08, 0.3) * size
    rows, columns = np.mgrid[:size, :size]
    distance = columns * np.cos(angle) + rows * np.sin(angle)
    stripes = np.sin(2 * np.pi * distance / period + phase)
    return smooth + stripes[..., None] * rng.uniform(-20, 20, 3)


def draw_ink(rng: np.random.Generator, digit: np.ndarray, size: int) -> np.ndarray:
    """A digit (8, 8) enlarged, turned and put somewhere in the scene: (size, size), ink in about [0, 1]."""
    side = rng.uniform(*DIGIT_SIDE) * size
    middle = (digit.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-ROTATION, ROTATION), side / digit.shape[0])
    matrix[:, 2] += rng.uniform(0.4 * side, size - 0.4 * side, 2) - middle
    return cv2.warpAffine(digit, matrix, (size, size), flags=cv2.INTER_CUBIC)


def paint(rng: np.random.Generator, scene: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Scene (size, size, 3) with the ink in a random colour that is brighter than what lies under it.

    Always brighter, because with either polarity a small net learns little more than the background in a few minutes.
    """
    opacity = np.clip((ink - INK_THRESHOLD) / 0.3 + 0.5, 0, 1)[..., None]
    direction = np.abs(rng.normal(size=3))
    offset = rng.uniform(*CONTRAST) * direction / np.linalg.norm(direction)
    under = (scene * opacity).sum((0, 1)) / opacity.sum()
    return scene * (1 - opacity) + (under + offset) * opacity


def make_scene(rng: np.random.Generator, digits: Digits, size: int, max_digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene: image (size, size, 3) and label (size, size), both uint8; earlier digits hide behind later."""
    scene = draw_texture(rng, size)
    label = np.zeros((size, size), np.uint8)
    for index in rng.integers(len(digits.values), size=rng.integers(1, max_digits + 1)):
        ink = draw_ink(rng, digits.images[index], size)
        scene = paint(rng, scene, ink)
        label = np.where(ink > INK_THRESHOLD, digits.values[index] + 1, label).astype(np.uint8)
    noisy = scene + rng.normal(scale=rng.uniform(4, 14), size=scene.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), label


def save_scene(out_dir: Path, name: str, image: np.ndarray, label: np.ndarray) -> None:
    """Write the image as JPEG and the label as PNG in the palette of the data set."""
    Image.fromarray(image).save(out_dir / 'JPEGImages' / f'{name}.jpg', quality=95)
    picture = Image.fromarray(label, mode='P')
    picture.putpalette(np.uint8(DigitScenesDataset.METAINFO['palette']).tobytes())
    picture.save(out_dir / 'SegmentationClass' / f'{name}.png')


def make_digit_scenes(
    out_dir: str | Path,
    num_train: int = 1000,
    num_val: int = 150,
    size: int = 48,
    max_digits: int = 2,
    seed: int = 0,
) -> None:
    """Write the training and validation scenes with their labels and lists.

    Args:
        out_dir: Folder that will hold JPEGImages, SegmentationClass and ImageSets/Segmentation.
        num_train: Number of training scenes, >= 1.
        num_val: Number of validation scenes, >= 1. All classes show up from some dozens of scenes on.
        size: Side of a scene in pixels, >= 32.
        max_digits: Most digits in a scene, >= 1; a scene has between one and as many.
        seed: Of everything that is random.

    Raises:
        ValueError: If a number is below its bound.
    """
    for option, value, least in (
        ('num_train', num_train, 1),
        ('num_val', num_val, 1),
        ('size', size, 32),
        ('max_digits', max_digits, 1),
    ):
        if value < least:
            raise ValueError(f'{option} must be at least {least}, got {value}')
    out_dir = Path(out_dir)
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    digits = load_split(seed)
    for split, count in zip(SPLITS, (num_train, num_val), strict=True):
        names = [f'{split}_{number:05d}' for number in range(count)]
        print(f'DigitScenes, {split}: {count} scenes')
        for number, name in enumerate(track_iter_progress(names)):
            # A stream of its own for every scene: a larger set begins with the scenes of a smaller one.
            rng = np.random.default_rng((seed, SPLITS.index(split), number))
            save_scene(out_dir, name, *make_scene(rng, digits[split], size, max_digits))
        (out_dir / 'ImageSets' / 'Segmentation' / f'{split}.txt').write_text('\n'.join(names) + '\n')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Make the DigitScenes data set')
    parser.add_argument('out_dir', nargs='?', default='data/digit_scenes', help='default: %(default)s')
    parser.add_argument('--train', type=int, default=1000, help='number of training scenes (default: %(default)s)')
    parser.add_argument('--val', type=int, default=150, help='number of validation scenes (default: %(default)s)')
    parser.add_argument('--size', type=int, default=48, help='side of a scene in pixels (default: %(default)s)')
    parser.add_argument('--digits', type=int, default=2, help='most digits in a scene (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    return parser.parse_args()


def main() -> None:
    """Make the data set that the command line describes."""
    args = parse_args()
    make_digit_scenes(args.out_dir, args.train, args.val, args.size, args.digits, args.seed)


if __name__ == '__main__':
    main()
