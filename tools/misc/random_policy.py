"""Write a random policy, the baseline of a search: ``python tools/misc/random_policy.py OUT.json --frames 4``.

With ``--config`` of a search it is drawn from the space that the search looks through, with its ranges, ramp and
padding, and its shifts count in the size of the config's crops.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdas.apis import load_config, preprocessor_of, preprocessor_place
from mmdas.search.das import SPACES, Policy

# What a cell and a policy both have a word for.
SHARED = ('space', 'ranges', 'share_strength', 'num_nodes', 'ramp', 'padding', 'node_reduction')


def parse_args(arguments: Sequence[str] | None = None) -> Namespace:
    """Read the command line."""
    parser = ArgumentParser(description='Write a random policy')
    parser.add_argument('out', help='file to write, such as work_dirs/random/policy.json')
    parser.add_argument('--frames', type=int, help='frames T of a clip (default: those of --config)')
    parser.add_argument('--config', help='config of a search, to draw from the space of its cell')
    parser.add_argument('--space', choices=sorted(SPACES), help="operations (default: the config's, else paper)")
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help="size in which shifts count (default: that of the config's crops, or of the training that names the file)",
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    args = parser.parse_args(arguments)
    if args.frames is None and args.config is None:
        parser.error('give --frames, or --config of a search')
    return args


def read_cell(config: str) -> dict[str, Any]:
    """Options of the cell of a search config that a policy shares, and its ``num_frames``.

    Raises:
        ValueError: if the config has no cell.
    """
    cfg = load_config(config)
    preprocessor = preprocessor_of(cfg)
    cell = preprocessor.get('cell')
    if cell is None:
        raise ValueError(f'{config} has no {preprocessor_place(cfg)}.cell; give the config of a search')
    size = cell.get('reference_size') or preprocessor.get('size')
    shared = {key: cell[key] for key in SHARED if key in cell}
    return {'num_frames': preprocessor.num_frames, 'reference_size': size and tuple(size), **shared}


def draw_policy(
    frames: int | None, config: str | None, space: str | None, seed: int, size: Sequence[int] | None = None
) -> Policy:
    """Policy with the options of the command line before those of the config.

    Raises:
        ValueError: if ``frames`` differs from the config's, or an option is out of its range.
    """
    options, origin = {}, {'method': 'random', 'seed': seed}
    if config is not None:
        options, origin = read_cell(config), {**origin, 'config': config}
    if frames is not None and options.setdefault('num_frames', frames) != frames:
        raise ValueError(f'--frames is {frames}, but num_frames of {config} is {options["num_frames"]}')
    if space is not None:
        options['space'] = space
    if size is not None:
        options['reference_size'] = tuple(size)
    return Policy.random(seed=seed, origin=origin, **options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the policy and print its path."""
    args = parse_args(arguments)
    policy = draw_policy(args.frames, args.config, args.space, args.seed, args.size)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    policy.save(args.out)
    print(args.out)


if __name__ == '__main__':
    main()
