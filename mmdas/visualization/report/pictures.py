"""Pictures of a run within the page: what searches, hooks and analyses have left in its folder."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

# Files of a work directory and what they show, in the order of the page.
KNOWN = {
    'clip.png': 'clips of some images',
    'worst.png': 'the images that the model does worst on',
    'policy.png': 'the policy',
    'policy_course.png': 'the mixtures over the search',
    'policy_mixtures.png': 'the mixtures that the selection started from',
    'confusion.png': 'which class is taken for which, in percent of the label',
    'receptive_field.png': 'the receptive field',
}
FOLDERS = {'clips': 'clips in training', 'saliency': 'saliency in training'}  # of pictures by iteration
LARGEST = 2 * 2**20  # bytes of a picture; larger ones would make the page slow
NUMBER = re.compile(r'(\d+)\.png$')


@dataclass(frozen=True)
class Picture:
    """A picture of a run.

    Args:
        path: of the PNG.
        title: what it shows.
    """

    path: Path
    title: str


def pictures_in(folder: Path) -> list[Picture]:
    """The pictures of a work directory; of those by iteration the newest."""
    return list(_pictures_in(folder))


def _pictures_in(folder: Path) -> Iterator[Picture]:
    for name, title in KNOWN.items():
        if (folder / name).is_file():
            yield Picture(folder / name, title)
    for name, title in FOLDERS.items():
        numbered = [
            (int(match[1]), path) for path in (folder / name).glob('*.png') if (match := NUMBER.search(path.name))
        ]
        if numbered:
            iteration, path = max(numbered)
            yield Picture(path, f'{title}, iteration {iteration}')


def picture_part(pictures: list[Picture]) -> str:
    """The pictures as parts of the page, without files beside it; a large one is named in its place."""
    return ''.join(map(_figure, pictures))


def _figure(picture: Picture) -> str:
    size = picture.path.stat().st_size
    if size > LARGEST:
        return f'<p>{escape(picture.title)}: {escape(str(picture.path))}, {size / 2**20:.1f} MiB</p>'
    data = base64.b64encode(picture.path.read_bytes()).decode()
    title = escape(picture.title, quote=True)
    return f'<figure><img alt="{title}" src="data:image/png;base64,{data}"/><figcaption>{title}</figcaption></figure>'
