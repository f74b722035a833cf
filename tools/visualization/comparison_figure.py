"""Draw the rungs of a comparison: ``python tools/visualization/comparison_figure.py FOLDER --out comparison.png``."""

import argparse
import json
from pathlib import Path

from mmdas.visualization import draw_comparison


def main() -> None:
    """Draw the picture that the command line asks for."""
    parser = argparse.ArgumentParser(description='Draw the rungs of a comparison')
    parser.add_argument('folder', help='of mmdas compare, which has ended')
    parser.add_argument('--out', default='comparison.png', help='picture to write (default: %(default)s)')
    args = parser.parse_args()
    notes = json.loads(Path(args.folder, 'compare.json').read_text(encoding='utf-8'))
    if 'comparison' not in notes:
        parser.error(f'the comparison in {args.folder} has not ended; go on with it by the same mmdas compare')
    draw_comparison(notes['comparison']).savefig(args.out, dpi=90)


if __name__ == '__main__':
    main()
