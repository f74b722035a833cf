"""A page of ``mmdas report`` as a picture, light on a desk and dark on a phone: ``report_picture.py PAGE.html``.

It needs Chromium or Chrome.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
DESK, PHONE = 900, 500  # widths in pixels; browsers without a window are no narrower than 500
GAP, SCALE = 20, 0.55


def screenshot(browser: str, page: Path, out: Path, width: int, height: int, dark: bool) -> None:
    """Let a browser write a picture of a page."""
    sandbox = ['--no-sandbox'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else []  # which it refuses as root
    options = ['--headless', '--disable-gpu', '--hide-scrollbars', *sandbox, *(['--force-dark-mode'] if dark else [])]
    command = [browser, *options, f'--window-size={width},{height}', f'--screenshot={out}', page.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def main() -> None:
    """Write the picture that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('page', type=Path, help='of mmdas report')
    parser.add_argument('--out', default='report.png', help='picture to write (default: %(default)s)')
    parser.add_argument('--height', type=int, default=1500, help='pixels of the page that are shown (%(default)s)')
    args = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        parser.error(f'no browser found, none of {", ".join(BROWSERS)}; install one of them')
    with tempfile.TemporaryDirectory() as folder:
        shots = []
        for width, dark in ((DESK, False), (PHONE, True)):
            path = Path(folder, f'{width}.png')
            screenshot(browser, args.page, path, width, args.height, dark)
            shots.append(Image.open(path).convert('RGB'))
    sheet = Image.new('RGB', (sum(shot.width for shot in shots) + GAP, args.height), (128, 128, 128))
    sheet.paste(shots[0], (0, 0))
    sheet.paste(shots[1], (shots[0].width + GAP, 0))
    small = sheet.resize((round(sheet.width * SCALE), round(sheet.height * SCALE)), Image.Resampling.LANCZOS)
    small.quantize(224).save(args.out, optimize=True)


if __name__ == '__main__':
    main()
