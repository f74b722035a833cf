"""What the gates of GSM and GSF do: a picture of each image, and the numbers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .analyze_maps import add_image_arguments, load, name_images, save_table
from .parser import told_in_one_line
from .run_options import refusing_code

if TYPE_CHECKING:
    from mmdas.apis.gates import ImageGates

EXAMPLE = 'mmdas analyze gates my_config.py das.pth photos/ --das policy.json --fusion gsf'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options."""
    add_image_arguments(parser)


def run(args: Namespace) -> None:
    """Write a picture of each image, and one table.

    Raises:
        CommandError: if there is no such config, checkpoint, policy or image, or the model has no gates.
    """
    from mmdas.apis.gates import read_gates

    with told_in_one_line(), refusing_code():
        analyzer, images = load(args)
        names, records = name_images(images, args.out_dir), []
        for name, found in zip(names, read_gates(analyzer, images), strict=True):
            save_figure(draw(found), Path(args.out_dir, 'gates', f'{name}.png'))
            records.append({**found.to_dict(), 'file': f'{name}.png'})
            print(f'{found.image}: {text(found)}')
        path = save_table(args, records)
    print(f'{len(records)} images: {path}')


def draw(found: ImageGates) -> Any:
    """The picture of an image."""
    from mmdas.visualization import draw_gates

    sites = {site.site: (site.strength, site.shown) for site in found.sites}
    return draw_gates(found.frames, sites, text(found))


def text(found: ImageGates) -> str:
    """The gates of an image for the eye."""
    mean = sum(float(site.strength.mean()) for site in found.sites) / len(found.sites)
    strongest = found.strongest
    return f'mean |g| {mean:.3f}, most at {strongest.site} ({strongest.strength.mean():.3f})'


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole."""
    from io import BytesIO

    from mmdas.engine.checkpoints.atomic_file import write_atomically

    picture = BytesIO()
    figure.savefig(picture, dpi=100)
    write_atomically(path, picture.getvalue())
