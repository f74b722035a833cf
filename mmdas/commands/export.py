"""Write a trained model as ONNX or as a program of torch.export, the step from image to clip included.

The file takes RGB pixels and gives scores; it needs neither mmdas nor the toolbox. It is compared with the model, and
says in its metadata what it is: classes, policy, frames, normalisation, size.

    mmdas export my_config.py best.pth --out model.onnx
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from .parser import told_in_one_line
from .places import check_file
from .run_options import add_das_arguments, add_trust_argument, guard_loading, read_das, refuse_search

if TYPE_CHECKING:
    from mmdas.apis.export import Exported

EXAMPLE = 'mmdas export my_config.py best.pth --out model.onnx'
OUTPUTS = ('logits', 'probabilities', 'labels')
INPUTS = ('pixels', 'normalised')


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='file, or name of an installed config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('--out', required=True, metavar='FILE', help='MODEL.onnx, or MODEL.pt2 for torch.export')
    parser.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'), help='of the input (default: of the test)')
    parser.add_argument('--dynamic-size', action='store_true', help='take images of other sizes, too')
    parser.add_argument(
        '--input', choices=INPUTS, default='pixels', help='RGB from 0 to 255, or normalised (default: %(default)s)'
    )
    parser.add_argument('--output', choices=OUTPUTS, default='logits', help='(default: %(default)s)')
    parser.add_argument('--latency', action='store_true', help='print the time of an image, beside that in PyTorch')
    parser.add_argument('--policy', metavar='FILE', help="policy to use in place of the config's, or one of views")
    parser.add_argument(
        '--accept-difference', action='store_true', help='load weights that were trained with other settings'
    )
    parser.add_argument('--use-frames', type=int, metavar='K', help='of a model trained with --any-frames (all)')
    add_trust_argument(parser)
    add_das_arguments(parser)


def run(args: Namespace) -> None:
    """Export, check and say what was written.

    Raises:
        CommandError: if there is no such config, checkpoint or policy, or the model cannot be exported so.
    """
    from mmdas.apis import load_config, set_used_frames
    from mmdas.apis.export import ExportOptions, export_model

    with told_in_one_line():
        refuse_search(args)
        guard_loading(args)
        size = None if args.size is None else tuple(args.size)
        options = ExportOptions(args.out, size, args.dynamic_size, args.input == 'pixels', args.output)
        check_file(args.out)
        das, conversion = read_das(args)
        cfg = load_config(args.config, das=das, options=conversion)
        set_used_frames(cfg, args.use_frames)
        done = export_model(cfg, args.checkpoint, options, args.policy, args.accept_difference)
    tell(args.out, done)
    if args.latency:
        from mmdas.deploy.latency import latency_table

        print(latency_table(done.network, args.out, done.size))
    print(f'use it: mmdas.deploy.ExportedModel({args.out!r})(images), in Python (docs/export.md)')


def tell(out: str, done: Exported) -> None:
    """Print what the file takes and gives."""
    told = done.description
    height, width = told.size or ('H', 'W')
    images = 'RGB pixels, 0 to 255' if told.input == 'pixels' and told.channels == 3 else told.input
    print(f'{out}: images (B, {told.channels}, {height}, {width}), float32, {images} -> {told.output}')
    print(f'differs from the model by {done.difference:.1g}')
    if told.views is not None:
        print(f'{len(told.views["views"])} views of every image are in the graph, which costs as many passes')
    if told.size_divisor > 1:
        print(f'both sides must be multiples of {told.size_divisor}')
    if told.crop and told.stride:
        crop, stride = ' x '.join(map(str, told.crop)), ' x '.join(map(str, told.stride))
        print(f'an image is a window of {crop} every {stride} pixels: average the logits (docs/export.md)')
