"""Draw what a classifier of OneDigit looks at, and score its maps and boxes, as docs/analysis.md has them."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from mmdas.analysis import BoxAccuracy, PixelPrecision, localize
from mmdas.analysis.localization import box_ious
from mmdas.apis.analysis import Analysis, Analyzer
from mmdas.visualization import draw_box, draw_pictures, overlay, to_grey
from mmdas.visualization.image_grid import save_small

CONFIG = 'mmdas::one_digit/resnet18-3-stages_one-digit-64x64.py'
MAPS = {
    'saliency': dict(kind='saliency'),
    'SmoothGrad': dict(kind='saliency', samples=25),
    'CAM': dict(kind='cam'),
}
TRUE, FOUND = (0, 220, 0), (255, 255, 0)
SEED_COLOURS = {cv2.GC_BGD: (60, 60, 160), cv2.GC_PR_BGD: (200, 200, 200), cv2.GC_FGD: (220, 60, 60)}


def images_of(root: Path, count: int | None) -> tuple[list[str], list, list[np.ndarray]]:
    """Files, true boxes and masks of validation images."""
    boxes = json.loads((root / 'val_boxes.json').read_text())
    names = sorted(boxes)[:count]
    masks = [cv2.imread(str(root / 'masks' / f'{Path(name).stem}.png'), cv2.IMREAD_GRAYSCALE) for name in names]
    return [str(root / 'val' / name) for name in names], [boxes[name] for name in names], masks


def score(found: Iterator[Analysis], boxes: list, masks: list[np.ndarray]) -> dict[str, float]:
    """Scores of a kind of map, and of the boxes that GrabCut makes of it."""
    accuracy, precision, overlaps = BoxAccuracy(), PixelPrecision(), []
    for one, box, mask in zip(found, boxes, masks, strict=True):
        accuracy.add(one.scores, box)
        precision.add(one.scores, mask)
        overlaps.append(float(box_ious([localize(one.picture, one.scores).box], [box])[0, 0]))
    share = 100 * sum(overlap >= 0.5 for overlap in overlaps) / len(overlaps)
    return {**accuracy.result(), 'PxAP': precision.result(), 'boxes right': share, 'mean IoU': 100 * np.mean(overlaps)}


def draw(analyzer: Analyzer, files: list[str], boxes: list) -> dict[str, list[np.ndarray]]:
    """The columns of the picture."""
    columns: dict[str, list[np.ndarray]] = {}
    for name, options in MAPS.items():
        found = list(analyzer(files, **options))
        columns.setdefault('image', [one.picture for one in found])
        columns[name] = [overlay(one.picture, one.scores) if name == 'CAM' else to_grey(one.scores) for one in found]
        if name != 'saliency':
            continue
        places = [localize(one.picture, one.scores) for one in found]
        columns['seeds'] = [paint(place.seeds) for place in places]
        columns['box'] = [
            draw_box(
                draw_box(np.where(place.mask[..., None], one.picture, one.picture // 3), box, TRUE), place.box, FOUND
            )
            for one, place, box in zip(found, places, boxes, strict=True)
        ]
    order = ('image', *MAPS, 'seeds', 'box')
    return {name: columns[name] for name in order}


def paint(seeds: np.ndarray) -> np.ndarray:
    """Seeds in colours: red the object, blue the background, grey what is open."""
    picture = np.zeros((*seeds.shape, 3), np.uint8)
    for kind, colour in SEED_COLOURS.items():
        picture[seeds == kind] = colour
    return picture


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='of a training of the config')
    parser.add_argument('--config', default=CONFIG, help='default: %(default)s')
    parser.add_argument('--data', default='data/one_digit', help='folder of OneDigit (default: %(default)s)')
    parser.add_argument('--out', default='docs/images/analysis.png', help='default: %(default)s')
    parser.add_argument('--rows', type=int, default=3, help='images in the picture (default: %(default)s)')
    parser.add_argument('--images', type=int, help='images to score, at most (default: all; 0: none)')
    return parser.parse_args()


def main() -> None:
    """Draw and score."""
    args = parse_args()
    analyzer = Analyzer(args.config, args.checkpoint)
    files, boxes, _ = images_of(Path(args.data), args.rows)
    torch.manual_seed(0)
    save_small(draw_pictures(draw(analyzer, files, boxes)), Path(args.out), colours=256)
    if args.images == 0:
        return
    files, boxes, masks = images_of(Path(args.data), args.images)
    for name, options in MAPS.items():
        found = score(analyzer(files, **options), boxes, masks)
        print(f'{name}: {", ".join(f"{key} {value:.2f}" for key, value in found.items())}')


if __name__ == '__main__':
    main()
