"""The receptive field of a network: in theory, what the clip adds to it, and as derivatives measure it."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .parser import told_in_one_line
from .places import check_folder
from .run_options import add_das_arguments, add_trust_argument, guard_loading, read_das, refuse_search, refusing_code

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor

    from mmdas.apis.receptive_field import ReceptiveFields

NAME = 'receptive_field'  # of the files that are written; mmdas report looks for them
CURVE = 100  # points of a curve of radial mass
EXAMPLE = 'mmdas analyze rf my_config.py plain.pth --policy policy.json'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options."""
    parser.add_argument('config', help='file, or name of an installed config')
    parser.add_argument('checkpoint', nargs='?', help='path of the checkpoint (default: random weights)')
    parser.add_argument('--policy', metavar='FILE', help='policy of clips; a plain config becomes one of DAS')
    parser.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'), help='of the images (that of the training)')
    parser.add_argument('--images', nargs='+', default=[], help='files and folders to measure with (default: noise)')
    parser.add_argument('--noise-images', type=int, default=8, help='images of noise (%(default)s)')
    parser.add_argument('--out-dir', default=NAME, help='folder; a work dir for mmdas report (%(default)s)')
    parser.add_argument(
        '--accept-difference', action='store_true', help='load weights that were trained with other settings'
    )
    add_trust_argument(parser)
    add_das_arguments(parser)


def run(args: Namespace) -> None:
    """Write picture and numbers, and print a table.

    Raises:
        CommandError: if there is no such config, checkpoint, policy or image, or the network has no such field.
    """
    from mmdas.apis.receptive_field import receptive_fields

    with told_in_one_line(), refusing_code():
        guard_loading(args)
        check_folder(args.out_dir)
        found = receptive_fields(load(args), args.checkpoint, args.size, args.images, args.noise_images)
        content = {'config': args.config, 'checkpoint': args.checkpoint, **describe(found)}
        print_table(content)
        print(save(found, content, Path(args.out_dir)))


def load(args: Namespace) -> Config:
    """The config, converted where it is plain and there is a policy."""
    from mmdas.apis import accept_differences, check_conversion, load_config, preprocessor_of, set_policy

    refuse_search(args)
    if args.policy is not None and args.das is None:
        plain = 'num_frames' not in preprocessor_of(load_config(args.config))
        args.das, args.policy = (args.policy, None) if plain else (None, args.policy)
    das, options = read_das(args)
    cfg = load_config(args.config, das=das, options=options)
    if das is not None:
        check_conversion(cfg)
    set_policy(cfg, args.policy)
    if args.accept_difference:
        accept_differences(cfg)
    return cfg


def describe(found: ReceptiveFields) -> dict[str, Any]:
    """What was found, as JSON."""
    from mmdas.analysis.receptive_field import union_of

    fields = {'plain': found.plain, **({} if found.clip is None else {'clip': found.clip})}
    return {
        'size': list(found.size),
        'theory': [asdict(stage) for stage in found.stages],
        'no_theory': found.reason,
        'clip': None if found.reaches is None else union_of(found.reaches),
        'measured': {name: shape_of(field) for name, field in fields.items()},
    }


def shape_of(field: Tensor) -> dict[str, Any]:
    """The shape of a field as JSON, which has no infinite aspect: None for a line or a single pixel."""
    from mmdas.analysis.receptive_field import describe_field

    shape = asdict(describe_field(field))
    return {**shape, 'aspect': shape['aspect'] if isfinite(shape['aspect']) else None, 'curve': curve(field)}


def curve(field: Tensor) -> list[tuple[float, float]]:
    """(radius, share of the mass) of the radial cumulative mass."""
    from mmdas.analysis.receptive_field import radii_of

    shares = [place / CURVE for place in range(1, CURVE)]
    return [(round(radius, 2), share) for radius, share in zip(radii_of(field, shares), shares, strict=True)]


def print_table(content: dict[str, Any]) -> None:
    """Print the fields."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title='theoretical receptive field of the plain network, pixels')
    for column in ('stage', 'height', 'width', 'stride'):
        table.add_column(column, justify='left' if column == 'stage' else 'right')
    for stage in content['theory']:
        extent = [side_text(stage[side]) for side in ('height', 'width')]
        table.add_row(stage['stage'], *extent, '' if stage['stride'] is None else f'{max(stage["stride"])}')
    console.print(table if content['theory'] else f'no theoretical field: {content["no_theory"]}')
    if content['clip'] is not None:
        clip = content['clip']
        text = f'{clip["frames"]} frames of the clip see {clip["union"]} pixels, one {clip["reference"]}: '
        console.print(f'{text}{clip["union"] / clip["reference"]:.2f} times as many', soft_wrap=True, highlight=False)
    for name, shape in content['measured'].items():
        console.print(f'measured, {name}: {shape_text(shape)}', soft_wrap=True, highlight=False)


def side_text(extent: int | None) -> str:
    """An extent for the eye."""
    return 'all' if extent is None else str(extent)


def shape_text(shape: dict[str, Any]) -> str:
    """The shape of a measured field in words."""
    radius = shape['radii'][0.5]
    aspect = 'none' if shape['aspect'] is None else f'{shape["aspect"]:.2f}'
    return (
        f'95 % of the mass in {shape["area"]} pixels, half of it within {radius:.1f} pixels; aspect '
        f'{aspect}, long axis at {shape["orientation"]:.0f} degrees'
    )


def save(found: ReceptiveFields, content: dict[str, Any], folder: Path) -> Path:
    """Write the picture and the numbers; the path of the picture."""
    from io import BytesIO

    from mmdas.engine.checkpoints.atomic_file import write_atomically

    picture = BytesIO()
    draw(found, content['measured']).savefig(picture, dpi=100)
    path = folder / f'{NAME}.png'
    write_atomically(path, picture.getvalue())
    write_atomically(path.with_suffix('.json'), json.dumps(content, indent=1).encode())
    return path


def draw(found: ReceptiveFields, measured: dict[str, Any]) -> Any:
    """The picture."""
    from mmdas.analysis.receptive_field import field_in_middle
    from mmdas.visualization import draw_fields

    fields, reaches = {'plain': found.plain.numpy()}, {}
    if found.stages:
        reaches['plain'] = field_in_middle(found.size, found.stages)[None].numpy()
    if found.clip is not None:
        fields['clip'] = found.clip.numpy()
        reaches.update({} if found.reaches is None else {'clip': found.reaches.numpy()})
    return draw_fields(fields, reaches, {name: shape['curve'] for name, shape in measured.items()})
