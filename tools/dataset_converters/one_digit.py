"""Make OneDigit, a classification data set with known boxes that needs no download: one digit on a textured background.

The scenes are those of DigitScenes (``digit_scenes.py``) with a single digit. A classifier is trained on the labels of
the images alone; boxes and masks are there to see what it looks at.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from digit_scenes import SPLITS, load_split, make_scene
from mmengine.utils import track_iter_progress
from PIL import Image

from mmdas.analysis.localization import box_of


def make_one_digit(
    out_dir: str | Path, num_train: int = 2000, num_val: int = 300, size: int = 64, seed: int = 0
) -> None:
    """Write images, masks, lists of labels and boxes.

    For each split there are ``SPLIT/NAME.jpg``, ``masks/NAME.png`` (255 on the digit), ``SPLIT.txt`` (name and class,
    as ``CustomDataset`` of MMPretrain reads it) and ``SPLIT_boxes.json`` (name -> left, top, right, bottom in pixels,
    the last two excluded).

    Args:
        out_dir: folder that will hold them.
        num_train: number of training scenes, >= 1.
        num_val: number of validation scenes, >= 1, of other handwriting.
        size: side of a scene in pixels, >= 32.
        seed: of everything that is random.

    Raises:
        ValueError: if a number is below its bound.
    """
    for option, value, least in (('num_train', num_train, 1), ('num_val', num_val, 1), ('size', size, 32)):
        if value < least:
            raise ValueError(f'{option} must be at least {least}, got {value}')
    root, digits = Path(out_dir), load_split(seed)
    (root / 'masks').mkdir(parents=True, exist_ok=True)
    for split, count in zip(SPLITS, (num_train, num_val), strict=True):
        (root / split).mkdir(exist_ok=True)
        print(f'OneDigit, {split}: {count} scenes')
        lines, boxes = [], {}
        for number in track_iter_progress(range(count)):
            rng = np.random.default_rng((seed, 2 + SPLITS.index(split), number))  # other scenes than DigitScenes
            image, label = make_scene(rng, digits[split], size, max_digits=1)
            name = f'{split}_{number:05d}'
            Image.fromarray(image).save(root / split / f'{name}.jpg', quality=95)
            Image.fromarray(np.where(label > 0, np.uint8(255), np.uint8(0))).save(root / 'masks' / f'{name}.png')
            lines.append(f'{name}.jpg {int(label.max()) - 1}')
            boxes[f'{name}.jpg'] = box_of(label)
        (root / f'{split}.txt').write_text('\n'.join(lines) + '\n')
        (root / f'{split}_boxes.json').write_text(json.dumps(boxes, indent=0))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Make the OneDigit data set')
    parser.add_argument('out_dir', nargs='?', default='data/one_digit', help='default: %(default)s')
    parser.add_argument('--train', type=int, default=2000, help='number of training scenes (default: %(default)s)')
    parser.add_argument('--val', type=int, default=300, help='number of validation scenes (default: %(default)s)')
    parser.add_argument('--size', type=int, default=64, help='side of a scene in pixels (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    return parser.parse_args()


def main() -> None:
    """Make the data set that the command line describes."""
    args = parse_args()
    make_one_digit(args.out_dir, args.train, args.val, args.size, args.seed)


if __name__ == '__main__':
    main()
