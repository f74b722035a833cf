"""The object of an image, from a map of a classifier that was trained without any box or mask."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .analyze_maps import (
    add_model_arguments,
    add_noise_arguments,
    analyse,
    describe,
    label_text,
    load,
    name_images,
    save_picture,
    save_table,
)
from .parser import told_in_one_line
from .run_options import refusing_code

if TYPE_CHECKING:
    from mmdas.analysis import Localization
    from mmdas.apis.analysis import Analysis

EXAMPLE = 'mmdas analyze localize my_config.py plain.pth photos/ --map cam'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options."""
    add_model_arguments(parser)
    group = parser.add_argument_group('from a map to an object')
    group.add_argument('--map', choices=['saliency', 'cam'], default='saliency', help='default: %(default)s')
    add_noise_arguments(parser)
    group.add_argument(
        '--seeds',
        nargs=2,
        type=float,
        default=(0.95, 0.3),
        metavar=('ABOVE', 'BELOW'),
        help='quantiles of the map: surely the object, surely not; GrabCut decides the rest (0.95 0.3)',
    )
    group.add_argument(
        '--threshold', type=float, help='take the largest part of the map above it, from 0 to 1, in place of GrabCut'
    )
    group.add_argument(
        '--boxes', metavar='FILE', help='true boxes to score with, as JSON: name of the file -> box or boxes in pixels'
    )


def run(args: Namespace) -> None:
    """Write mask, picture and box of each image, and the scores where true boxes are given.

    Raises:
        CommandError: as of the other analyses, or for true boxes that cannot be used.
    """
    from mmdas.visualization import draw_box, overlay

    with told_in_one_line(), refusing_code():
        analyzer, images = load(args)
        truths = read_boxes(args.boxes, images, analyzer.whole) if args.boxes else None
        score = Score() if truths is not None else None
        records = []
        for name, found in zip(
            name_images(images, args.out_dir), analyse(analyzer, images, args, args.map), strict=True
        ):
            place = find_object(found, args)
            save_picture(Path(args.out_dir, 'masks', f'{name}.png'), place.mask.astype('uint8') * 255)
            picture = draw_box(overlay(found.picture, found.scores, 0.3), place.box)
            save_picture(Path(args.out_dir, 'boxes', f'{name}.png'), picture)
            records.append(describe(found, analyzer, f'{name}.png'))
            records[-1].update(box=list(place.box), file_box=file_box(place, found, analyzer.whole))
            if score is not None and truths is not None:
                score.add(found, place, truths[Path(found.image).name])
            print(f'{found.image}: {label_text(records[-1])}, box {" ".join(map(str, place.box))}')
        scores = {} if score is None else score.result()
        path = save_table(args, records, map=args.map, scores=scores)
    for key, value in scores.items():
        print(f'{key}: {value:.2f}')
    print(f'{len(records)} images: {path}')


def find_object(found: Analysis, args: Namespace) -> Localization:
    """The object, as the options say."""
    from mmdas.analysis import localize
    from mmdas.analysis.localization import localize_above

    if args.threshold is not None:
        return localize_above(found.scores, args.threshold)
    return localize(found.picture, found.scores, *args.seeds)


def file_box(place: Localization, found: Analysis, whole: bool) -> list[float] | None:
    """The box in pixels of the file; None where the pipeline crops or pads."""
    if not whole:
        return None
    rows, columns = (of_file / of_map for of_file, of_map in zip(found.file_size, found.scores.shape, strict=True))
    return [round(side * ratio, 2) for side, ratio in zip(place.box, (columns, rows) * 2, strict=True)]


def read_boxes(path: str, images: list, whole: bool) -> dict[str, list]:
    """The true boxes of the images by the names of their files, a list each.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not have a box for every image, or pictures are not whole images.
    """
    if not whole:
        raise ValueError(
            f'--boxes {path}: the test pipeline of the config crops or pads, so that boxes of the files do not lie on '
            'its pictures; take a config that only resizes'
        )
    content = json.loads(Path(path).read_text())
    missing = [Path(image).name for image in images if Path(image).name not in content]
    if missing:
        raise ValueError(f'--boxes {path} has no box of {missing[0]} (and {len(missing) - 1} others)')
    found = {name: boxes if isinstance(boxes[0], list) else [boxes] for name, boxes in content.items() if boxes}
    for name, boxes in found.items():
        if any(len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]) for box in boxes):
            raise ValueError(f'--boxes {path}: {name} has {boxes}, expected left, top, right, bottom in pixels')
    return found


class Score:
    """Of the maps, whatever the threshold, and of the boxes that were found."""

    def __init__(self) -> None:
        from mmdas.analysis import BoxAccuracy

        self.accuracy = BoxAccuracy()
        self.right: list[float] = []

    def add(self, found: Analysis, place: Localization, boxes: list) -> None:
        """Add an image with its true boxes, in pixels of the file."""
        from mmdas.analysis.localization import box_ious

        rows, columns = (of_map / of_file for of_file, of_map in zip(found.file_size, found.scores.shape, strict=True))
        scaled = [[side * ratio for side, ratio in zip(box, (columns, rows) * 2, strict=True)] for box in boxes]
        self.accuracy.add(found.scores, scaled)
        self.right.append(float(box_ious([place.box], scaled).max()))  # type: ignore[arg-type]

    def result(self) -> dict[str, Any]:
        """Scores of the maps, and of the boxes: percent with an overlap of one half, and the mean overlap."""
        share = 100 * sum(overlap >= 0.5 for overlap in self.right) / len(self.right)
        boxes = {'boxes right (IoU 0.5)': share, 'mean IoU of the boxes': 100 * sum(self.right) / len(self.right)}
        return {**self.accuracy.result(), **boxes}
