"""What the inferencer is given, as a flat list of files and arrays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmdas.engine.data_files.faults import REMEDY, read_fault

Images = str | Path | np.ndarray | Sequence['Images']
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.ppm', '.webp')


class ImageError(ValueError):
    """A file that is no image, or a damaged one; the message names it."""


@contextmanager
def naming_unreadable(images: Sequence[str | np.ndarray]) -> Iterator[None]:
    """Name the file that an error comes from, where one of the images cannot be read: the toolboxes may not.

    Args:
        images: of :func:`expand`.

    Raises:
        ImageError: for the first such file. Other errors stay what they are.
    """
    try:
        yield
    except Exception as error:  # as the reader of the toolbox has it: an assertion, an attribute of None, ...
        files = [image for image in images if isinstance(image, str) and Path(image).is_file()]
        fault = next(filter(None, (read_fault('image', file, failed=True) for file in files)), None)
        if fault is None:
            raise
        told = fault.removesuffix(f'; {REMEDY}')
        raise ImageError(f'{told}; take it away, and run the command again') from error


def expand(images: Images) -> list[str | np.ndarray]:
    """All images in their order: paths and addresses as text, folders as their images, arrays as they are.

    Args:
        images: a file, a folder, an address with ``://``, an array, or a list of them, which may hold lists.

    Raises:
        FileNotFoundError: if a path leads nowhere or a folder holds no image.
        TypeError: for anything else.
        ValueError: if there is no image at all.
    """
    found = list_images(images)
    if not found:
        raise ValueError('no image is given: the list is empty')
    return found


def list_images(images: Images) -> list[str | np.ndarray]:
    """As :func:`expand`, where the list may be empty."""
    if isinstance(images, (list, tuple)):
        return [found for image in images for found in list_images(image)]
    if isinstance(images, np.ndarray):
        return [images]
    if not isinstance(images, (str, Path)):
        raise TypeError(
            f'an image must be a path or an array (H, W, 3) of uint8 in BGR order, got {type(images).__name__}; '
            "of a PIL image it is np.asarray(image.convert('RGB'))[..., ::-1]"
        )
    if '://' in str(images):
        return [str(images)]
    path = Path(images)
    if path.is_dir():
        return list(list_folder(path))
    if not path.is_file():
        raise FileNotFoundError(f'there is no image {path}')
    return [str(path)]


def list_folder(folder: Path) -> list[str]:
    """The images right in a folder, by name; hidden files such as ``._photo.png`` of macOS are none.

    Raises:
        FileNotFoundError: if there is none.
    """
    names = (file for file in folder.iterdir() if not file.name.startswith('.'))
    files = sorted(str(file) for file in names if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise FileNotFoundError(f'{folder} holds no image ({", ".join(SUFFIXES)}); folders within it are not searched')
    return files


def as_colour(image: np.ndarray, place: str) -> np.ndarray:
    """An array as the image file of the same content would be read: three channels, BGR.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8. A grey image gets three equal channels; a fourth
            channel, alpha, is left out.
        place: of the image, for messages.

    Returns:
        (H, W, 3), uint8.

    Raises:
        TypeError: for another dtype, whose range of values is not known.
        ValueError: for another shape.
    """
    if image.dtype != np.uint8:
        raise TypeError(
            f'{place} is an array of {image.dtype}; give uint8 from 0 to 255. '
            "Values from 0 to 1 become that by (255 * image).round().astype('uint8')"
        )
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if not image.size or not (grey or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ValueError(
            f'{place} is an array of shape {image.shape}; give one image (H, W, 3) in BGR order, or (H, W) for grey'
        )
    if grey:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[..., :3])
