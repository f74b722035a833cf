"""What a file shows without being decoded: its size, its first and last bytes, and its header."""

import os
from typing import NamedTuple

from PIL import Image

HEAD, TAIL = 64, 1024  # bytes
ROTATED = (5, 6, 7, 8)  # orientations of EXIF that exchange width and height
EXIF_ORIENTATION = 274
# First bytes -> what the file is and the bytes near its end without which it is cut off.
KINDS = {
    b'\xff\xd8\xff': ('jpeg', b'\xff\xd9'),
    b'\x89PNG\r\n\x1a\n': ('png', b'IEND'),
    b'II*\0': ('tiff', b''),
    b'MM\0*': ('tiff', b''),
    b'BM': ('bmp', b''),
    b'RIFF': ('webp', b''),
}


class Look(NamedTuple):
    """A quick look at a file.

    Attributes:
        kind: such as ``'png'``; empty if the first bytes are none of ``KINDS``.
        is_cut: whether the bytes that end a file of this kind are missing.
        is_deep: whether the file may hold more than 8 bits a channel.
        is_color: whether the file holds several channels, as far as its first bytes tell.
        has_exif: whether EXIF data begin within the first bytes.
    """

    kind: str
    is_cut: bool
    is_deep: bool
    is_color: bool
    has_exif: bool


def look_at(path: str) -> Look:
    """Read the first and last bytes of a file.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, 'rb', buffering=0) as file:
        head = file.read(HEAD)
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
        tail = file.read(TAIL)
    kind, end = next((value for magic, value in KINDS.items() if head.startswith(magic)), ('', b''))
    is_deep = kind == 'tiff' or (kind == 'png' and head[24:25] == b'\x10')
    is_color = kind == 'png' and head[25:26] in (b'\x02', b'\x04', b'\x06')
    return Look(kind, end not in tail, is_deep, is_color, b'Exif' in head or kind == 'tiff')


def is_local(path: object) -> bool:
    """Whether a path is one of a file that this machine can look at."""
    return isinstance(path, (str, os.PathLike)) and bool(path) and '://' not in str(path)


def image_size(path: str | os.PathLike | None, turned: bool = True) -> tuple[int, int] | None:
    """Height and width of an image file by its header; None where it cannot be told.

    Args:
        path: of the file.
        turned: by its EXIF orientation, as OpenCV turns it.
    """
    try:
        with Image.open(path or '') as image:
            width, height = image.size
            rotated = turned and _orientation(image) in ROTATED
    except Exception:  # no file, no local file, or a format of its own
        return None
    return (width, height) if rotated else (height, width)


def exif_orientation(path: str | os.PathLike | None) -> int:
    """Orientation by the EXIF data of an image file, 1 to 8; 1, upright, where it cannot be told."""
    try:
        with Image.open(path or '') as image:
            return _orientation(image)
    except Exception:
        return 1


def _orientation(image: Image.Image) -> int:
    """Orientation of an opened file that is not decoded, as Pillow would decode a PNG to look for it at the end."""
    if image.format == 'PNG' and 'exif' not in image.info:
        return 1
    return int(image.getexif().get(EXIF_ORIENTATION, 1))
