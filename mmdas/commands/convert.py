"""Write the DAS configs of any MMSegmentation or MMPretrain config.

CONFIG is a file, or the name of an installed config such as pspnet_r50-d8_4xb4-80k_ade20k-512x512. Three configs that
inherit from it are written: repeat (equal frames), search (of a policy) and das (training with the policy).
"""

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from .parser import told_in_one_line
from .run_options import FAST, add_conversion_arguments, conversion_options

EXAMPLE = 'mmdas convert my_config.py --frames 4 --fusion tsm --out-dir configs/das'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='file, or name of an installed config, with or without mmseg:: or mmpretrain::')
    parser.add_argument('--out-dir', type=Path, help='folder for the new configs (default: configs/das_<name>)')
    parser.add_argument('--force', action='store_true', help='write over files that you have edited')
    parser.add_argument('--policy', help="policy that the das config names (default: the search config's)")
    add_conversion_arguments(parser)
    parser.add_argument('--fast', action='store_true', help=FAST)


def run(args: Namespace) -> None:
    """Write the configs, print their paths and the next command.

    Raises:
        CommandError: if the config cannot be converted, or a file was edited.
    """
    from mmdas.apis import add_das, read_config, short_search

    with told_in_one_line():
        paths = add_das(args.config, args.out_dir, conversion_options(args, args.policy), args.force)
        message = short_search(read_config(paths[1]))
    for path in paths:
        print(path)
    if message:
        print(f'note: {message}')
    print(f'next: {shlex.join(["mmdas", "train", str(paths[1] if args.policy is None else paths[2])])}')
