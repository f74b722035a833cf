"""A further channel of images that tells their content from what pads them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdas.search.das.operation import Size


def check_channels(images: Tensor, channels: int) -> None:
    """Raise a ValueError where images have other channels than the network takes."""
    if images.shape[1] != channels:
        raise ValueError(
            f'images of {images.shape[1]} channels came to a network of {channels}; correct color_type of '
            'LoadImageFromFile, or in_channels of the backbone'
        )


def add_content_mask(images: Tensor, sizes: Sequence[Size] | None) -> Tensor:
    """Padded images with a further channel, 1 on their content, which shares the fate of the image in windows."""
    if sizes is None:
        return images
    height, width = images.shape[-2:]
    masks = [F.pad(images.new_ones(1, h, w), (0, width - w, 0, height - h)) for h, w in sizes]
    return torch.cat([images, torch.stack(masks)], dim=1)


def split_content_mask(inputs: Tensor, channels: int) -> tuple[Tensor, list[Size] | None]:
    """Images and the sizes of their contents, which lie in the upper left corner; None where all is content."""
    if inputs.shape[1] == channels:
        return inputs, None
    images, mask = inputs[:, :-1], inputs[:, -1:]
    check_channels(images, channels)
    rows, columns = (mask.amax(dim=(1, dim)).sum(1, dtype=torch.float32) for dim in (3, 2))  # (B,)
    return images, [(int(h), int(w)) for h, w in torch.stack([rows, columns], dim=1).tolist()]
