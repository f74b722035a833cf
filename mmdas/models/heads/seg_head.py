"""Temporal pooling for decode heads."""

from collections.abc import Mapping

from mmseg.models.decode_heads import PointHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import nn

from mmdas.registry import MODELS

from .frame_pooled_head import FramePooledHead


@MODELS.register_module()
class TemporalPoolingHead(FramePooledHead):
    """Any decode or auxiliary head of MMSegmentation whose ``forward`` returns logits, pooled over the frames.

    The instance *is* the host's head: its keys, loss, sampler, samples per class and threshold stay as they are.

    Args:
        head: config of the head, or the module, which is changed; or a list of heads.
        num_frames: T >= 1; with one frame the predictions stay as they are. Default: what a segmentor of DAS tells, or
            frames over samples.
        pooling: mode of :class:`mmdas.models.TemporalPooling`.
        index: which head of the list, for ``head={{_base_.model.decode_head}}`` of a base with several.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.
        any_frames: whether predictions of fewer frames may come. Default: False.
        used_frames: frames of an image where fewer may come and no samples tell. Default: T.

    Shape:
        features (B*T, C, h, w) -> logits (B, K, h, w).

    Raises:
        ValueError: for an unknown pooling, a head whose ``forward`` does not return a map of logits, as soon as
            frames and images do not fit, or on loading weights that were trained with another pooling.
    """

    @classmethod
    def find_channels(cls, host: nn.Module, config: Mapping | nn.Module, pooling: str) -> int:
        if not isinstance(host, BaseDecodeHead) or isinstance(host, PointHead):
            raise ValueError(
                f'{cls.__name__} pools maps of logits, but {type(host).__name__} predicts something else (such as '
                'masks of queries, or points); use a decode head that returns one map'
            )
        return host.out_channels
