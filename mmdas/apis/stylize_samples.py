"""The images of a data set, and where their stylised copies belong."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmdas.engine.data_files.leaves import inner_datasets

# Of the kinds of files that would lose more by default.
SETTINGS: dict[str, dict[str, Any]] = {'JPEG': {'quality': 95}, 'WEBP': {'lossless': True}}
META = 'meta'  # folder of the lists of images that had no files


@dataclass(frozen=True)
class StylizeSample:
    """An image with the place of its copy.

    Args:
        name: place of the copy below the new root, with ``/``. The style follows from it.
        source: file, or an array (H, W, 3) of uint8 in RGB.
        label_map: file of the label map and the place of its copy, of segmentation.
    """

    name: str
    source: str | np.ndarray
    label_map: tuple[str, str] | None = None

    def read(self) -> Tensor:
        """Colours (1, 3, H, W) in [0, 1], as a training reads them, turned as EXIF says.

        Raises:
            ValueError: if the file is no image.
        """
        image = self.source if isinstance(self.source, np.ndarray) else read_colours(self.source)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255


def read_colours(path: str) -> np.ndarray:
    """An image file as (H, W, 3), uint8, RGB.

    Raises:
        ValueError: if it is no image.
    """
    try:
        return mmcv.imfrombytes(Path(path).read_bytes(), channel_order='rgb')
    except FileNotFoundError as error:
        raise ValueError(f'there is no image {path}, which the data set names') from error
    except cv2.error as error:
        raise ValueError(f'{path} is no image that MMCV can read; repair it, or take it out of the data set') from error


def list_samples(dataset: Any, split: str, swapped: bool = False) -> tuple[list[StylizeSample], list[tuple[str, str]]]:
    """All images of a data set, each once, and the lists that name them.

    Args:
        dataset: of MMSegmentation or MMPretrain, in any wrappers.
        split: folder for images that have no file.
        swapped: whether arrays of images are BGR.

    Returns:
        The samples, and (file, place below the new root) of the annotation files.

    Raises:
        ValueError: for an image outside of its data set's root, or a kind of data set without images.
    """
    found: dict[str, StylizeSample] = {}
    files: dict[str, str] = {}
    for leaf in inner_datasets(dataset):
        root = root_of(leaf)
        for index in range(len(leaf)):
            sample = as_sample(leaf, index, root, split, swapped)
            found.setdefault(sample.name, sample)
        annotations = getattr(leaf, 'ann_file', '')
        if annotations and os.path.isfile(annotations) and is_below(annotations, root):
            files[annotations] = place_below(annotations, root)
    if not found:
        raise ValueError(f'the data set of {split} holds no image')
    return list(found.values()), list(files.items())


def as_sample(leaf: Any, index: int, root: str, split: str, swapped: bool) -> StylizeSample:
    """A sample of a data set."""
    info = leaf.get_data_info(index)
    path, image = info.get('img_path'), info.get('img')
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8:
        name = f'{split}/{class_folder(leaf, info)}/{index:06d}.png'
        return StylizeSample(name, image[..., ::-1] if swapped else image)
    if not path:
        raise ValueError(
            f'sample {index} of {type(leaf).__name__} has neither a file (img_path) nor an array (H, W, 3) of uint8 '
            '(img)'
        )
    labels = info.get('seg_map_path')
    return StylizeSample(
        place_below(path, root), str(path), (str(labels), place_below(labels, root)) if labels else None
    )


def class_folder(leaf: Any, info: dict) -> str:
    """Folder of an image's class."""
    label, classes = info.get('gt_label'), leaf.metainfo.get('classes')
    if not isinstance(label, (int, np.integer)):
        return 'images'
    return str(classes[label]).replace('/', '_') if classes else f'{label:04d}'


def image_lists(dataset: Any, split: str) -> dict[str, str]:
    """The list of images with their classes, of data sets without files: place below the new root -> content."""
    lines = [
        f'{class_folder(leaf, info)}/{index:06d}.png {info["gt_label"]}'
        for leaf in inner_datasets(dataset)
        for index in range(len(leaf))
        if 'img' in (info := leaf.get_data_info(index)) and isinstance(info.get('gt_label'), (int, np.integer))
    ]
    return {f'{META}/{split}.txt': '\n'.join(lines) + '\n'} if lines else {}


def root_of(leaf: Any) -> str:
    """The folder that the places of a data set's files count from."""
    prefix = getattr(leaf, 'data_prefix', None) or {}
    return str(getattr(leaf, 'data_root', '') or prefix.get('img_path') or '.')


def is_below(path: str, root: str) -> bool:
    """Whether a file lies in a folder."""
    return '://' not in str(path) and not os.path.relpath(path, root).startswith(os.pardir)


def place_below(path: str, root: str) -> str:
    """Place of a file from a folder on.

    Raises:
        ValueError: if it lies elsewhere.
    """
    if not is_below(path, root):
        raise ValueError(
            f'{path} is no file below {root}, so that its copy would have no place; set data_root of the data set to a '
            'folder that holds images, labels and lists'
        )
    return PurePosixPath(Path(os.path.relpath(path, root))).as_posix()


def encode(image: Tensor, name: str) -> bytes:
    """An image (1, 3, H, W) in [0, 1] as the content of a file of its kind.

    Raises:
        ValueError: for a kind that cannot be written.
    """
    suffix = PurePosixPath(name).suffix.lower()
    kind = Image.registered_extensions().get(suffix)
    if kind not in Image.SAVE:
        raise ValueError(f'images of the kind {suffix or name} cannot be written')
    pixels = (255 * image[0]).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind, **SETTINGS.get(kind, {}))
    return stream.getvalue()
