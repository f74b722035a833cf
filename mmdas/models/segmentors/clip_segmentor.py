"""The step from image to clip at the entrance of a segmentor's backbone."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models import CascadeEncoderDecoder, EncoderDecoder
from torch import Tensor

from mmdas.augment.content import content_sizes
from mmdas.models.aligned_fusions import check_alignable, hand_over_warps
from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.frame_count import FrameCount
from mmdas.models.settings import Parent
from mmdas.registry import MODELS
from mmdas.search.das.operation import Size


class ClipSegmentor(Parent):
    """Mixin of a segmentor whose inputs stay images until its backbone takes them.

    The data preprocessor owns the cell or policy; this asks it for the clip of whatever the backbone is about to see:
    the crop of a training, the image of a test, each window of slide inference. All of them are made alike. Backbone
    and heads that leave ``num_frames`` open are told that of the data preprocessor.

    Shape:
        inputs (B, C, H, W), without frames.

    Raises:
        ValueError: if the data preprocessor is none of DAS, or, for heads with ``pooling='aligned'`` and fusions with
            ``aligned=True``, if the frames of its policy are sums of several warps; in a call if the images have other
            channels than the network.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.data_preprocessor, ImageToClip):
            raise ValueError(
                f'{type(self).__name__} makes clips with the data preprocessor, but '
                f'{type(self.data_preprocessor).__name__} has none; use mmdas.DASSegDataPreProcessor'
            )
        self.data_preprocessor.gives_images = True
        for module in self.modules():
            if isinstance(module, FrameCount):
                module.tell(self.data_preprocessor.num_frames)
        if self._aligned() and self.data_preprocessor.image_to_clip is not None:
            self.data_preprocessor.image_to_clip.check_alignable()
        check_alignable(self)

    def loss(self, inputs: Tensor, data_samples: Sequence) -> dict:
        """As of the parent."""
        # what batch_augments mix has no padding of its own
        mixed = self.training and getattr(self.data_preprocessor, 'batch_augments', None) is not None
        return super().loss(self._with_content_mask(inputs, None if mixed else data_samples), data_samples)

    def predict(self, inputs: Tensor, data_samples: Sequence | None = None) -> Any:
        """As of the parent."""
        return super().predict(self._with_content_mask(inputs, data_samples), data_samples)

    def _forward(self, inputs: Tensor, data_samples: Sequence | None = None) -> Any:
        return super()._forward(self._with_content_mask(inputs, data_samples), data_samples)

    def _with_content_mask(self, inputs: Tensor, data_samples: Sequence | None) -> Tensor:
        check_channels(inputs, self._channels(inputs))
        if self.data_preprocessor.image_to_clip is None:  # equal frames: padding is as any content
            return inputs
        return add_content_mask(inputs, content_sizes(data_samples, inputs.shape[-2:]))

    def extract_feat(self, inputs: Tensor) -> Any:
        """Features of the clip of images, or of windows of them (B, C or C + 1, h, w)."""
        images, sizes = split_content_mask(inputs, self._channels(inputs))
        preprocessor = self.data_preprocessor
        for pooling in self._aligned():
            pooling.unwarp = partial(preprocessor.unwarp, canvas=tuple(images.shape[-2:]), sizes=sizes)
        clip = preprocessor.to_clip(images, sizes)
        hand_over_warps(self, (images.shape[-2], images.shape[-1]), len(images))
        for module in self.modules():
            if isinstance(module, FrameCount) and module.any_frames:
                module.follow(preprocessor.frames_now)
        return super().extract_feat(clip)

    def _channels(self, inputs: Tensor) -> int:
        """Channels of an image; a backbone without frames of ours does not say."""
        return getattr(self.backbone, 'image_channels', inputs.shape[1])

    def _aligned(self) -> list:
        """The poolings that carry predictions back to the image."""
        poolings = (getattr(module, 'temporal_pooling', None) for module in self.modules())
        return [pooling for pooling in poolings if pooling is not None and pooling.aligns]


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


@MODELS.register_module()
class DASEncoderDecoder(ClipSegmentor, EncoderDecoder):
    """:class:`mmseg.models.EncoderDecoder` for clips; all its arguments."""


@MODELS.register_module()
class DASCascadeEncoderDecoder(ClipSegmentor, CascadeEncoderDecoder):
    """:class:`mmseg.models.CascadeEncoderDecoder` for clips; all its arguments.

    Raises:
        ValueError: if a head's pooling is aligned: the next head of the cascade would get a map on the image beside
            features on the frames.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._aligned():
            raise ValueError("pooling='aligned' does not go with cascades of heads; use pooling='mean'")
