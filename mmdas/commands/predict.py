"""Predict on images and folders with a trained model."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from .parser import told_in_one_line
from .run_options import add_das_arguments, add_trust_argument, guard_loading, read_das, refuse_search

if TYPE_CHECKING:
    from mmdas.apis import Inferencer

EXAMPLE = 'mmdas predict my_config.py work_dirs/my_config/iter_80000.pth photos/ --out-dir predictions'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='file, or name of an installed config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('images', nargs='+', help='files and folders')
    parser.add_argument('--out-dir', default='predictions', help='folder for label maps and pictures (%(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='images at a time (default: %(default)s)')
    parser.add_argument('--device', help='such as cuda:0 (default: a GPU if there is one)')
    parser.add_argument('--policy', metavar='FILE', help="policy to use in place of the config's, or one of views")
    parser.add_argument(
        '--accept-difference', action='store_true', help='load weights that were trained with other settings'
    )
    parser.add_argument('--use-frames', type=int, metavar='K', help='of a model trained with --any-frames (all)')
    add_trust_argument(parser)
    add_das_arguments(parser)


def run(args: Namespace) -> None:
    """Predict; classes are printed, label maps and pictures are saved.

    Raises:
        CommandError: if there is no such config, checkpoint, policy or image, or they do not go together.
    """
    from mmdas.apis import Inferencer, load_config, set_used_frames
    from mmdas.apis.image_inputs import ImageError, expand

    with told_in_one_line():
        refuse_search(args)
        guard_loading(args)
        images = expand(args.images)
        das, options = read_das(args)
        cfg = load_config(args.config, das=das, options=options)
        set_used_frames(cfg, args.use_frames)
        infer = Inferencer(cfg, args.checkpoint, args.device, args.policy, args.accept_difference)
    with told_in_one_line(ImageError):
        classes = predict(infer, images, args.out_dir, args.batch_size)
    print()  # ends the line of the toolbox's progress bar
    for image, line in zip(images, classes, strict=False):
        print(f'{image}: {line}')
    print(f'{len(images)} images: {args.out_dir}')


def predict(infer: Inferencer, images: list, out_dir: str, batch_size: int) -> list[str]:
    """Predict and save; of a classification the class and the score of each image."""
    from mmdas.hosts import find_host

    host = find_host(infer.scope)
    return host.lines(infer(images, batch_size=batch_size, **{host.pictures: out_dir}))
