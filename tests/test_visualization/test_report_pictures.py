"""Pictures of a run in the page of ``mmdas report``."""

import base64
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_report import make_run

from mmdas.visualization.report import pictures as module
from mmdas.visualization.report import write_report

PREFIX = 'data:image/png;base64,'


def save(path: Path, shade: int) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), shade, np.uint8)).save(path)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with pictures."""
    run = make_run(tmp_path / 'run')
    for shade, name in enumerate(('policy.png', 'worst.png', 'clips/iter_9.png', 'clips/iter_100.png', 'other.png')):
        save(run / name, 40 * shade)
    (run / 'clips' / 'notes.png').write_bytes(b'')
    return run


def shown(folder: Path) -> dict[str, str]:
    """Title -> source of each picture of the page."""
    page = ElementTree.fromstring(write_report([folder], folder / 'page.html').read_text(encoding='utf-8'))
    return {picture.get('alt'): picture.get('src') for picture in page.iter('img')}


def test_known_pictures_are_in_the_page_byte_for_byte_and_the_newest_of_an_iteration(folder: Path):
    found = shown(folder)
    files = {
        'the images that the model does worst on': 'worst.png',
        'the policy': 'policy.png',
        'clips in training, iteration 100': 'clips/iter_100.png',
    }
    assert list(found) == list(files)
    for title, name in files.items():
        assert base64.b64decode(found[title].removeprefix(PREFIX)) == (folder / name).read_bytes()


def test_a_large_picture_is_named_in_its_place(folder: Path, monkeypatch):
    monkeypatch.setattr(module, 'LARGEST', 10)
    assert shown(folder) == {}
    assert str(folder / 'worst.png') in (folder / 'page.html').read_text()
