"""Temporal pooling for classification heads."""

from collections.abc import Mapping, Sequence

from mmpretrain.models.heads import MultiTaskHead
from torch import nn

from mmdas.registry import MODELS

from .frame_pooled_head import FramePooledHead, pick_head
from .temporal_pooling import ALIGNED, TemporalPooling


@MODELS.register_module()
class TemporalPoolingClsHead(FramePooledHead):
    """Any classification head of MMPretrain whose ``forward`` returns class scores, pooled over the frames.

    The instance *is* the host's head: its keys, loss and accuracy stay as they are.

    Args:
        head: config of the head, or the module, which is changed; or a list of heads.
        num_frames: T >= 1; with one frame the predictions stay as they are. Default: frames over samples.
        pooling: mode of :class:`TemporalPooling`, except the aligned ones.
        index: which head of the list, for ``head={{_base_.model.decode_head}}`` of a base with several.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.

    Shape:
        features (B*T, C) -> scores (B, K).

    Raises:
        ValueError: for an unknown pooling or one of maps, a head of several tasks, as soon as frames and images do not
            fit, or on loading weights that were trained with another pooling.
    """

    def __init__(
        self,
        head: Mapping | nn.Module | Sequence[Mapping | nn.Module],
        num_frames: int | None = None,
        pooling: str = 'mean',
        *,
        index: int | None = None,
        accept_difference: bool = False,
    ) -> None:
        if pooling in ALIGNED:
            raise ValueError(f'pooling={pooling!r} aligns maps of logits; scores of a classification have no place')
        num_classes, config = getattr(self, 'num_classes', None), pick_head(head, index)
        if num_classes is None and isinstance(config, Mapping):  # some heads keep no number of what their config says
            num_classes = config.get('num_classes')
        self.temporal_pooling = TemporalPooling(num_frames, pooling, num_classes, accept_difference)

    @classmethod
    def check_host(cls, host: nn.Module) -> None:
        """Refuse heads of several tasks."""
        if isinstance(host, MultiTaskHead):
            raise ValueError(
                'MultiTaskHead picks images for each task itself and cannot pool frames; use one head a model'
            )
