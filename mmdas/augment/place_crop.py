"""A crop at a fixed place of an image, of which a test by several crops is made."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmdas.registry import AUGMENTS

# Place -> where the crop lies, from 0 (left, top) to 1 (right, bottom).
PLACES = {
    'upper left': (0.0, 0.0),
    'upper right': (0.0, 1.0),
    'lower left': (1.0, 0.0),
    'lower right': (1.0, 1.0),
    'centre': (0.5, 0.5),
}


@AUGMENTS.register_module()
class PlaceCrop(BaseTransform):
    """Cut a corner or the centre out of an image: the crops of five-crop and ten-crop tests (Krizhevsky et al. 2012).

    They are those of ``torchvision.transforms.FiveCrop``, and the centre is that of ``CenterCrop`` of MMPretrain.

    Args:
        crop_size: (H, W) of the crop in pixels, or the side of a square.
        place: ``'upper left'``, ``'upper right'``, ``'lower left'``, ``'lower right'`` or ``'centre'``.

    Required keys: ``img`` (H, W) or (H, W, C). ``img`` and ``img_shape`` are changed.

    Raises:
        ValueError: for another place, sides below 1, or in use an image that is smaller than the crop.
    """

    def __init__(self, crop_size: int | Sequence[int], place: str) -> None:
        sides = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(sides) != 2 or min(sides) < 1:
            raise ValueError(f'PlaceCrop.crop_size is {crop_size}, expected a side or (height, width), at least 1')
        if place not in PLACES:
            raise ValueError(f'PlaceCrop.place is {place!r}, expected one of {", ".join(PLACES)}')
        self.crop_size, self.place = sides, place

    def transform(self, results: dict) -> dict:
        """Cut."""
        image = results['img']
        left_over = [own - side for own, side in zip(image.shape, self.crop_size, strict=False)]
        if min(left_over) < 0:
            raise ValueError(
                f'{results.get("img_path", "an image")} of {image.shape[0]} x {image.shape[1]} pixels is smaller than '
                f'the crop of {self.crop_size[0]} x {self.crop_size[1]}; resize it before, as by ResizeEdge'
            )
        top, left = (round(share * room) for share, room in zip(PLACES[self.place], left_over, strict=True))
        height, width = self.crop_size
        results['img'] = np.ascontiguousarray(image[top : top + height, left : left + width])
        results['img_shape'] = (height, width)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size}, place={self.place!r})'
