"""Views of images for MMSegmentation's segmentors."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import DepthEstimator, EncoderDecoder
from torch import Tensor

from mmdas.augment.content import content_sizes
from mmdas.models.data_preprocessors.content_mask import add_content_mask
from mmdas.models.segmentors.clip_segmentor import ClipSegmentor
from mmdas.registry import MODELS
from mmdas.search.das.operation import Size
from mmdas.search.test_time import View, to_logits, to_probabilities

from .view_model import Seen, ViewModel, unwarp_contents, warp_contents


@MODELS.register_module()
class SegViewModel(ViewModel):
    """Views of images for an ``EncoderDecoder`` or a cascade of heads, of DAS or plain, whole or by windows.

    Probabilities are averaged where the network sees the image; their logarithms take the place of its logits, so that
    all further steps (padding, the size of the image's file, largest class or ``threshold``) are those of the model.

    Args:
        module, policy, channel_order, data_preprocessor: as of :class:`ViewModel`.

    Raises:
        ValueError: for a model that is no ``EncoderDecoder`` or predicts depth, and as :class:`ViewModel`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.module, EncoderDecoder) or isinstance(self.module, DepthEstimator):
            raise ValueError(
                f'views go with EncoderDecoder and CascadeEncoderDecoder, the model is {type(self.module).__name__}; '
                'test it without --policy'
            )

    def _channel_order(self) -> str | None:
        return super()._channel_order() or 'bgr'  # as OpenCV reads files

    def predict_image(self, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> list:
        """Samples with the prediction of the wrapped model."""
        if self.makes_clips:
            images = self.to_clip(images, content_sizes(samples, images.shape[-2:]))
        return self.module(images, samples, mode='predict')

    def look_at(self, view: View, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> Seen:
        """Probabilities of a view, (B, K, H, W) over the images with their padding, and which pixels it shows."""
        canvas = (int(images.shape[-2]), int(images.shape[-1]))
        contents = content_sizes(samples, canvas)
        seen, sizes_seen = warp_contents(view, images, contents, self._divisor(), self.pixels)
        shape = (int(seen.shape[-2]), int(seen.shape[-1]))
        padded = None if all(size == shape for size in sizes_seen) else sizes_seen
        inputs = self.to_clip(seen, padded)
        if isinstance(self.module, ClipSegmentor):
            inputs = add_content_mask(inputs, padded)
        logits = self.module.inference(inputs, metas(samples, len(images), shape))
        return unwarp_contents(view, to_probabilities(logits), shape, contents, canvas)

    def to_samples(self, probabilities: Tensor, samples: list | None) -> list:
        """Samples with logits and label maps, as the wrapped model makes them of its logits."""
        return self.module.postprocess_result(to_logits(probabilities), samples)

    def _divisor(self) -> int:
        """Of the sides of what the network takes in a test."""
        return (getattr(self.module.data_preprocessor, 'test_cfg', None) or {}).get('size_divisor') or 1


def metas(samples: list | None, count: int, shape: Size) -> list[dict]:
    """What a segmentor is told of images that fill a batch of that size."""
    known = [{}] * count if samples is None else [sample.metainfo for sample in samples]
    size = torch.Size(shape)
    return [
        {'ori_shape': size, 'padding_size': [0, 0, 0, 0], **meta, 'img_shape': size, 'pad_shape': size}
        for meta in known
    ]
