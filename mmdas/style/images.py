"""Style images from a folder."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.ppm', '.webp')
SIDE = 512  # of a style's shorter side, as in the published recipe of Stylized-ImageNet


def list_images(folder: str | Path) -> list[Path]:
    """The images in a folder and in all folders within it, in the order of their names from the folder on.

    Raises:
        FileNotFoundError: if there is no such folder, or no image in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f'there is no folder of styles {folder}')
    found = [
        path
        for path in root.rglob('*')
        if path.suffix.lower() in SUFFIXES and not path.name.startswith('.') and path.is_file()
    ]
    if not found:
        raise FileNotFoundError(f'{folder} and its folders hold no image ({", ".join(SUFFIXES)})')
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def read_image(path: str | Path, side: int | None = None) -> Tensor:
    """An image as colours.

    Args:
        path: of the file.
        side: pixels of the shorter side, to which larger images are reduced. Default: as it is.

    Returns:
        (1, 3, H, W) in [0, 1].

    Raises:
        OSError: if the file is no image.
    """
    with Image.open(path) as opened:
        image = opened.convert('RGB')
    shorter = min(image.size)
    if side is not None and shorter > side:
        width, height = (round(length * side / shorter) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
