"""Temporal pooling for classification heads."""

from collections.abc import Mapping

from mmpretrain.models.heads import MultiTaskHead
from torch import nn

from mmdas.registry import MODELS

from .frame_pooled_head import FramePooledHead
from .temporal_pooling import ALIGNED


@MODELS.register_module()
class TemporalPoolingClsHead(FramePooledHead):
    """Any classification head of MMPretrain whose ``forward`` returns class scores, pooled over the frames.

    The instance *is* the host's head: its keys, loss and accuracy stay as they are.

    Args:
        head: config of the head, or the module, which is changed; or a list of heads.
        num_frames: T >= 1; with one frame the predictions stay as they are. Default: frames over samples.
        pooling: mode of :class:`mmdas.models.TemporalPooling`, except the aligned ones.
        index: which head of the list, for ``head={{_base_.model.head}}`` of a base with several.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.
        any_frames: whether predictions of fewer frames may come. Default: False.
        used_frames: frames of an image where fewer may come and no samples tell. Default: T.

    Shape:
        features (B*T, C) -> scores (B, K).

    Raises:
        ValueError: for an unknown pooling or one of maps, a head of several tasks, as soon as frames and images do not
            fit, or on loading weights that were trained with another pooling.
    """

    @classmethod
    def find_channels(cls, host: nn.Module, config: Mapping | nn.Module, pooling: str) -> int | None:
        if isinstance(host, MultiTaskHead):
            raise ValueError(
                'MultiTaskHead picks images for each task itself and cannot pool frames; use one head a model'
            )
        if pooling in ALIGNED:
            raise ValueError(f'pooling={pooling!r} aligns maps of logits; scores of a classification have no place')
        num_classes = getattr(host, 'num_classes', None)
        if num_classes is None and isinstance(config, Mapping):  # some heads keep no number of what their config says
            return config.get('num_classes')
        return num_classes
