"""What is wrong with a file, in words."""

import os

import numpy as np
from PIL import Image, UnidentifiedImageError

from .look import exif_orientation, look_at

REMEDY = "restore it from its source, or take it out of the data set's list"
UPRIGHT = (
    'write the image anew upright (PIL.ImageOps.exif_transpose), or, if the labels were drawn on the image as it is '
    "stored, load it by dict(type='LoadImageFromFile', color_type='color_ignore_orientation')"
)


def read_fault(what: str, path: str, failed: bool = False) -> str | None:
    """Why a file cannot be read as an image, if it cannot; the file is decoded.

    Args:
        what: ``'image'`` or ``'label image'``, for the message.
        path: of the file.
        failed: whether a transform could not load it. One that Pillow reads then counts as cut off if its end is
            missing.
    """
    try:
        size = os.stat(path).st_size
        if size == 0:
            return f'the {what} {path} is empty (0 bytes); {REMEDY}'
        with Image.open(path) as image:
            image.load()
        if failed and look_at(path).is_cut:
            return f'the {what} {path} is cut off (its last bytes are missing); {REMEDY}'
    except FileNotFoundError:
        return f'the {what} {path} is missing; {REMEDY}'
    except UnidentifiedImageError:
        with open(path, 'rb') as file:
            return (
                f'the {what} {path} is no image, or its header is damaged: it begins with {file.read(12)!r}; {REMEDY}'
            )
    except Image.DecompressionBombError:  # a large image, which others may read
        return None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        return f'the {what} {path} is cut off or damaged ({reason}); {REMEDY}'
    return None


def wrap_fault(path: str) -> str | None:
    """Why the values of a label image change when they are read as 8 bit, if they do; the file is decoded."""
    with Image.open(path) as image:
        labels = np.asarray(image)
    if labels.dtype in (np.uint8, np.bool_):
        return None
    changed = labels[labels != labels.astype(np.uint8)]
    if not changed.size:
        return None
    values = np.unique(changed)[:5]
    return (
        f'the label image {path} holds {labels.dtype} values such as {values.tolist()}, which are read as 8 bit and '
        f'become {values.astype(np.uint8).tolist()}; write label images of 8 bit, in which classes are 0 to 254'
    )


def color_fault(path: str, shape: tuple[int, ...]) -> str:
    """The message for a label image of several channels."""
    return (
        f'the label image {path} is of shape {shape}: it stores colours, not classes; write images of one channel, '
        'whose pixels are the numbers of the classes, or palette images'
    )


def size_text(path: str, labels: tuple[int, ...], image: tuple[int, ...], image_path: str | None = None) -> str:
    """The message for sizes (height, width) that differ.

    Args:
        path: of the label image.
        labels, image: their sizes.
        image_path: of the image, whose EXIF orientation may be the cause.
    """
    orientation = exif_orientation(image_path)
    text = (
        f'the label image {path} is of size {labels[0]} x {labels[1]}, its image of {image[0]} x {image[1]}: pixels '
        'and labels do not lie on each other; '
    )
    if orientation > 1:
        text += (
            f'the image {image_path} is turned by its EXIF orientation {orientation} when it is read; {UPRIGHT}; or '
        )
    return text + 'write label images of the size of the images'


def orientation_fault(image: str, label: str) -> str | None:
    """The warning for an image that is turned when it is read, while its label is of the right size either way."""
    orientation = exif_orientation(image)
    if orientation == 1:
        return None
    return (
        f'the image {image} is turned by its EXIF orientation {orientation} when it is read, its label image {label} '
        f'is not: see whether the labels lie on the turned image; if not, {UPRIGHT}'
    )
