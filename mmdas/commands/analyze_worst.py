"""The images that a trained model does worst on, on the data of its test, with what it made of them."""

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

EXAMPLE = 'mmdas analyze worst my_config.py work_dirs/my_config/iter_80000.pth --out-dir work_dirs/my_config'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options, which are those of a test."""
    test.add_model_arguments(parser)
    parser.add_argument('--number', type=int, default=8, help='of images (default: %(default)s)')
    parser.add_argument(
        '--out-dir', default='analysis', help='for worst.png and .json; a work dir for mmdas report (%(default)s)'
    )


def run(args: Namespace) -> None:
    """Test, and write the picture and what it shows.

    Raises:
        CommandError: if the user has to change something.
    """
    with told_in_one_line():
        check_folder(args.out_dir)
        if args.number < 1:
            raise ValueError(f'--number is {args.number}, expected 1 or more')
        args.work_dir = args.work_dir or str(Path(args.out_dir, 'worst'))  # not among the tests of the training
        cfg = test.read(args)
        keep_worst(cfg, args.out_dir, args.number)
    metrics, _ = test.measure(cfg)
    from mmengine.dist import is_main_process

    if not is_main_process():
        return
    for one in json.loads(Path(args.out_dir, 'worst.json').read_text(encoding='utf-8')):
        print(f'{one["image"] or "image"}: {100 * one["score"]:.1f} %')
    mean, count = metrics['worst_images/mean'], metrics['worst_images/images']
    print(f'mean of {count} images: {mean:.1f} %')
    print(Path(args.out_dir, 'worst.png'))


def keep_worst(cfg: Config, folder: str, number: int) -> None:
    """Let a test keep its worst images in place of its metrics.

    Args:
        cfg: of the test; changed.
        folder, number: as of :class:`mmdas.engine.metrics.WorstImages`.
    """
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    ignored = [one['ignore_index'] for one in evaluators if 'ignore_index' in one]
    own = {'type': 'mmdas.WorstImages', 'out_dir': folder, 'number': number}
    cfg.test_evaluator = {**own, **({'ignore_index': ignored[0]} if ignored else {})}
