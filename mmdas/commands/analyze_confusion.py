"""Which class a trained model takes for which, on the data of its test."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from . import test
from .parser import told_in_one_line
from .places import check_folder

if TYPE_CHECKING:
    from mmengine.config import Config

Counts = list[list[int]]
LINES = 5  # pairs of classes that are printed
EXAMPLE = 'mmdas analyze confusion my_config.py work_dirs/my_config/iter_80000.pth --split val'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options, which are those of a test."""
    test.add_model_arguments(parser)
    parser.add_argument('--out-dir', default='analysis', help='for confusion.json and .png (default: %(default)s)')


def run(args: Namespace) -> None:
    """Test, write the matrix, and print what is confused most.

    Raises:
        CommandError: if the user has to change something.
    """
    with told_in_one_line():
        check_folder(args.out_dir)
        args.work_dir = args.work_dir or args.out_dir  # not among the tests of the training's folder
        cfg = test.read(args)
        count_confusions(cfg)
    metrics, meta = test.measure(cfg)
    counts = [list(map(int, row)) for row in metrics['confusion_matrix/result']]
    classes = [str(name) for name in meta.get('classes') or range(len(counts))]
    from mmengine.dist import is_main_process

    if is_main_process():
        path = write(Path(args.out_dir), counts, classes)
        print('\n'.join([*worst(counts, classes), f'{len(classes)} classes: {path}']))


def count_confusions(cfg: Config) -> None:
    """Let a test count confusions in place of its metrics.

    Raises:
        ValueError: for a toolbox that has no such metric.
    """
    from mmdas.apis import host_of

    host = host_of(cfg)
    if not host.confusion:
        raise ValueError(f'{host.scope} has no metric that counts confusions')
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    ignored = [one['ignore_index'] for one in evaluators if host.label_maps and 'ignore_index' in one]
    cfg.test_evaluator = {'type': host.confusion, **({'ignore_index': ignored[0]} if ignored else {})}


def write(folder: Path, counts: Counts, classes: list[str]) -> Path:
    """Write the matrix as JSON and as a picture; the path of the picture."""
    from mmdas.visualization.confusion_figure import draw_confusion

    folder.mkdir(parents=True, exist_ok=True)
    table = {'classes': classes, 'counts': counts, 'rows': 'label', 'columns': 'prediction'}
    Path(folder, 'confusion.json').write_text(json.dumps(table) + '\n', encoding='utf-8')
    path = Path(folder, 'confusion.png')
    draw_confusion(counts, classes).savefig(path, dpi=110)
    return path


def worst(counts: Counts, classes: list[str]) -> list[str]:
    """What is confused most, by the share of the label."""
    pairs = [
        (count / sum(row), classes[label], classes[predicted])
        for label, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if count and label != predicted
    ]
    return [
        f'{100 * share:.1f} % of {label} is taken for {predicted}'
        for share, label, predicted in sorted(pairs, reverse=True)[:LINES]
    ]
