"""The step from image to clip in a segmentor."""

from collections.abc import Sequence
from typing import Any

from mmseg.models import CascadeEncoderDecoder, EncoderDecoder
from torch import Tensor

from mmdas.augment.content import content_sizes
from mmdas.models.clip_model import ClipModel
from mmdas.models.data_preprocessors.content_mask import add_content_mask, check_channels
from mmdas.registry import MODELS


class ClipSegmentor(ClipModel):
    """Mixin of a segmentor whose inputs stay images until its backbone takes them.

    The clip is made of whatever the backbone is about to see: the crop of a training, the image of a test, each window
    of slide inference. All of them are made alike.

    Shape:
        inputs (B, C, H, W), without frames.

    Raises:
        ValueError: as :class:`ClipModel`, or, for heads with ``pooling='aligned'``, if the frames of its policy are
            sums of several warps; in a call if the images have other channels than the network.
    """

    own_preprocessor = 'mmdas.DASSegDataPreProcessor'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._aligned() and self.data_preprocessor.image_to_clip is not None:
            self.data_preprocessor.image_to_clip.check_alignable()

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
