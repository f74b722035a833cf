"""Label the images of a folder with a trained model, for a training on them beside the labelled ones.

The model looks at several views of each image, and the mean prediction becomes its label (data distillation). A run
that was stopped goes on by the same command. Ends with the config of the training.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import CommandError, told_in_one_line
from .run_options import add_das_arguments, add_trust_argument, guard_loading, read_das, refuse_search, refusing_code

if TYPE_CHECKING:
    from mmdas.apis.data_distillation import DistilledSet

EXAMPLE = 'mmdas distill-data my_config.py plain.pth unlabelled/ --out-dir data/labelled'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='of the model and its training: a file, or name of an installed config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('folder', help='of the images; folders within it count, too')
    parser.add_argument('--out-dir', required=True, help='folder of the labels, the lists and the configs')
    parser.add_argument(
        '--views',
        nargs='*',
        metavar='GROUP',
        help='beside the image: of flip, shift, rotate, zoom, size, colour (default: flip size); none: the image alone',
    )
    parser.add_argument('--policy', metavar='FILE', help='views and weights that mmdas search --method tta has found')
    parser.add_argument(
        '--confidence',
        type=float,
        default=0.0,
        help='least probability of a label: images below it are left out, pixels do not count (default: %(default)s)',
    )
    parser.add_argument('--batch-size', type=int, default=1, help='images at a time (default: %(default)s)')
    parser.add_argument('--device', help='such as cuda:0 (default: a GPU if there is one)')
    parser.add_argument(
        '--accept-difference', action='store_true', help='load weights that were trained with other settings'
    )
    add_trust_argument(parser)
    add_das_arguments(parser)


def run(args: Namespace) -> None:
    """Label the images, and print how to train on them.

    Raises:
        CommandError: if the user has to change something.
    """
    from mmdas.apis import is_view_policy, load_config
    from mmdas.apis.data_distillation import DataDistillation, distill_data

    with told_in_one_line(), refusing_code():
        refuse_search(args)
        guard_loading(args)
        if args.policy is not None and args.views is not None:
            raise CommandError(f'--policy {args.policy} says which views there are; leave out --views')
        if args.policy is not None and not Path(args.policy).is_file():
            raise CommandError(f'there is no file {args.policy}')
        if args.policy is not None and not is_view_policy(args.policy):
            raise CommandError(f'--policy {args.policy} is none of views; give the policy of the clip to --das')
        views = {} if args.views is None else {'views': tuple(args.views)}
        options = DataDistillation(**views, policy=args.policy, confidence=args.confidence, batch_size=args.batch_size)
        policy, args.policy = args.policy, None  # which --das has nothing to do with
        das, conversion = read_das(args)
        args.policy = policy
        cfg = load_config(args.config, das=das, options=conversion)
        found = distill_data(
            cfg,
            args.checkpoint,
            args.folder,
            args.out_dir,
            options,
            config=args.config,
            device=args.device,
            accept_difference=args.accept_difference,
        )
    print('\n'.join(report(found, args)))


def report(found: DistilledSet, args: Namespace) -> list[str]:
    """What is printed at the end."""
    from mmdas.apis.data_distillation.data_set import RETRAIN

    parts = [f'{name} {value:.4g}' for name, value in found.classes.items()]
    unit = 'percent of the pixels' if 'BaseSegDataset' in str(found.dataset['type']) else 'images'
    command = ['mmdas', 'train', str(found.folder / RETRAIN)]
    return [
        f'{found.kept} of {found.images} images have labels: {found.folder}',
        f'{unit}: {", ".join(parts)}',
        f'a training on both data sets ({RETRAIN}):',
        *(f'    {line}' for line in found.retrain.splitlines()),
        f'train with it: {shlex.join(command)}',
    ]
