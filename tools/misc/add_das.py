"""Make DAS configs of any MMSegmentation or MMPretrain config: ``python tools/misc/add_das.py CONFIG``.

CONFIG is a file, or the name of an installed config such as ``pspnet_r50-d8_4xb4-80k_ade20k-512x512``. Three configs
that inherit from it are written: repeat (equal frames), search (of a policy) and das (training with the policy).
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from mmdas.apis import FUSIONS, SELECTIONS, ConversionError, DASOptions, add_das
from mmdas.models.heads.temporal_pooling import POOLINGS


def parse_args(arguments: Sequence[str] | None = None) -> Namespace:
    """Read the command line."""
    parser = ArgumentParser(description='Make DAS configs that inherit from a plain config')
    parser.add_argument('config', help='file, or name of an installed config, with or without mmseg:: or mmpretrain::')
    parser.add_argument('--out-dir', type=Path, help='folder for the new configs (default: configs/das_<name>)')
    parser.add_argument('--frames', type=int, default=4, help='frames T of a clip (default: %(default)s)')
    parser.add_argument('--fusion', choices=sorted(FUSIONS), default='gsf', help='default: %(default)s')
    parser.add_argument('--policy', help="policy that the train config names (default: the search config's)")
    parser.add_argument('--pooling', choices=POOLINGS, default='mean', help='of the frames (default: %(default)s)')
    parser.add_argument(
        '--selection', choices=sorted(SELECTIONS), default='argmax', help='of the search (default: %(default)s)'
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the configs and print their paths."""
    args = parse_args(arguments)
    try:
        options = DASOptions(args.frames, args.fusion, args.policy, args.pooling, args.selection)
        paths = add_das(args.config, args.out_dir, options)
    except (ConversionError, FileNotFoundError, ValueError) as error:
        raise SystemExit(f'{args.config}: {error}') from error
    for path in paths:
        print(path)


if __name__ == '__main__':
    main()
