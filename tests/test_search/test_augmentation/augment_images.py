"""What the tests of augmentations share."""

import torch
from torch import Tensor

from mmdas.search.augmentation import AUGMENT_OPERATIONS, Canvas, Drawn, apply_drawn

# A magnitude of every operation that takes one, small enough to keep most of an image in its place.
MAGNITUDES = {
    'rotate': 25.0,
    'translate_x': 0.2,
    'translate_y': 0.3,
    'shear_x': 0.3,
    'shear_y': 0.25,
    'scale': 0.4,
    'posterize': 3.0,
    'solarize': 0.4,
    'solarize_add': 0.3,
    'saturation': 0.6,
    'contrast': 0.6,
    'brightness': 0.4,
    'sharpness': 0.8,
    'noise': 0.1,
    'cutout': 0.5,
}
WARPS = ('rotate', 'translate_x', 'translate_y', 'shear_x', 'shear_y', 'scale')
RANDOM = ('noise', 'cutout')
STILL = [name for name in AUGMENT_OPERATIONS if name not in RANDOM]


def random_images(n: int = 2, size: tuple[int, int] = (17, 23), channels: int = 3, seed: int = 0) -> Tensor:
    """(N, C, H, W) with values n / 255 as of a file, black and white among them where there is room."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (n, channels, *size), generator=generator).float()
    levels.flatten(2)[..., :1], levels.flatten(2)[..., -1:] = 0, 255
    return levels / 255


def random_labels(n: int = 2, size: tuple[int, int] = (17, 23), dtype: torch.dtype = torch.long) -> Tensor:
    """(N, 1, H, W), classes 0 to 5 in blocks of about four pixels."""
    blocks = torch.randint(0, 6, (n, 1, *size), generator=torch.Generator().manual_seed(1))
    rows, columns = (torch.arange(side) // 4 for side in size)
    return blocks[:, :, rows][..., columns].to(dtype)


def apply(
    name: str, images: Tensor, magnitude: float = 0.0, labels: Tensor | None = None, **canvas
) -> tuple[Tensor, Tensor | None]:
    """One operation on all images."""
    return apply_drawn(images, labels, Drawn.same([(name, magnitude)], len(images)), Canvas(**canvas))
