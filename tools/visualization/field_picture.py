"""Draw what policies of one warp do to the receptive field of a small network, as docs/receptive_field.md has it."""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from mmdas.analysis.receptive_field import describe_field, field_in_middle, radii_of
from mmdas.apis import DASOptions, load_config
from mmdas.apis.receptive_field import receptive_fields
from mmdas.search.das import Policy, PolicyEdge
from mmdas.visualization import draw_fields
from mmdas.visualization.image_grid import save_small

CONFIG = 'mmdas::digit_scenes/fcn_r18-d4_digits-48x48.py'
SIDE, FRAMES = 160, 4
WARPS = {'translate_x 0.12': ('translate_x', 0.12), 'rotate 20': ('rotate', 20.0), 'scale 0.3': ('scale', 0.3)}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default=CONFIG, help='default: %(default)s')
    parser.add_argument('--out', default='docs/images/receptive_field.png', help='default: %(default)s')
    parser.add_argument('--noise-images', type=int, default=16, help='images to measure with (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    """Measure and draw; the shapes are printed."""
    args = parse_args()
    maps, reaches, curves = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for title, (operation, strength) in WARPS.items():
            path = str(Path(folder, f'{operation}.json'))
            edge = PolicyEdge(0, 2, operation, strength)
            Policy(FRAMES, 1, (edge,), reference_size=(SIDE, SIDE)).save(path)
            cfg = load_config(args.config, das='das', options=DASOptions(FRAMES, 'gsf', policy=path))
            found = receptive_fields(cfg, size=(SIDE, SIDE), images=args.noise_images)
            if not maps:
                maps['plain'], reaches['plain'] = found.plain, field_in_middle(found.size, found.stages)[None]
            maps[title], reaches[title] = found.clip, found.reaches
    shares = [place / 100 for place in range(1, 100)]
    for title, field in maps.items():
        curves[title] = list(zip(radii_of(field, shares), shares, strict=True))
        print(title, int(reaches[title].any(0).sum()), asdict(describe_field(field)))
    numbers = [{name: one.numpy() for name, one in group.items()} for group in (maps, reaches)]
    save_small(draw_fields(*numbers, curves), Path(args.out), dpi=80, colours=128)


if __name__ == '__main__':
    main()
