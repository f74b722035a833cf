"""The page of ``mmdas report`` in a real browser, where there is one."""

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_report import make_run

from mmdas.visualization.report import write_report

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
BACKGROUNDS = {'light': (255, 255, 255), 'dark': (0x14, 0x17, 0x1A)}
# The page within a frame of a given width, of which the script reads what would have to be scrolled.
FRAME = """<html><body><iframe id="f" style="width: {width}px; height: 600px; border: 0" srcdoc="{page}"></iframe>
<script>onload = () => {{ const d = document.getElementById('f').contentDocument;
document.title = [d.documentElement.scrollWidth, d.documentElement.clientWidth,
 ...[...d.querySelectorAll('h1, h2, figcaption, svg')].map(e => Math.round(e.getBoundingClientRect().width))].join(' ');
}}</script></body></html>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason='no Chromium or Chrome here; apt-get install chromium brings one'),
]


@pytest.fixture(scope='module')
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('runs')
    names = {'a': 0.1, 'a_name_that_is_longer_than_others' * 2: 1.0}
    folders = [make_run(root / name, lr=lr) for name, lr in names.items()]
    return write_report(folders, root / 'page.html')


def browse(*options: str) -> str:
    sandbox = ['--no-sandbox'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else []  # which it refuses as root
    command = [str(BROWSER), '--headless', '--disable-gpu', '--hide-scrollbars', *sandbox, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.parametrize('width', [390, 1280])
def test_the_page_needs_no_scrolling_sideways(page: Path, tmp_path: Path, width: int):
    frame = tmp_path / 'frame.html'
    frame.write_text(FRAME.format(width=width, page=html.escape(page.read_text(), quote=True)))
    title = re.search(r'<title>([\d ]+)</title>', browse('--dump-dom', frame.as_uri()))
    needed, there, *widths = map(int, title[1].split())
    assert there == width and needed == width
    assert len(widths) > 10 and all(widths), 'headings and charts are drawn'


@pytest.mark.parametrize('scheme', BACKGROUNDS)
@pytest.mark.parametrize('width', [500, 1280])
def test_colours_follow_the_light_or_dark_of_the_browser(page: Path, tmp_path: Path, width: int, scheme: str):
    picture = tmp_path / 'page.png'
    dark = ['--force-dark-mode'] if scheme == 'dark' else []
    browse(*dark, f'--window-size={width},900', f'--screenshot={picture}', page.as_uri())
    pixels = cv2.imread(str(picture))[..., ::-1]
    assert pixels.shape[1] == width
    assert tuple(pixels[2, 2].tolist()) == BACKGROUNDS[scheme]
    distance = np.abs(pixels.astype(int) - np.array(BACKGROUNDS[scheme])).sum(-1)
    assert distance.max() > 500, 'text stands out'
