"""Temporal pooling for classification heads."""

from collections.abc import Mapping, Sequence

from mmpretrain.models.heads import MultiTaskHead
from torch import nn

from mmdas.registry import MODELS

from .frame_pooled_head import build_head, pick_head, pool_head
from .temporal_pooling import ALIGNED


@MODELS.register_module(name='TemporalPoolingClsHead')
def build_temporal_pooling_cls_head(
    head: Mapping | nn.Module | Sequence[Mapping],
    num_frames: int,
    pooling: str = 'mean',
    index: int | None = None,
    accept_difference: bool = False,
) -> nn.Module:
    """Any classification head of MMPretrain whose ``forward`` returns class scores, pooled over the frames.

    The result *is* the host's head: its keys, loss and accuracy stay as they are.

    Args:
        head: config of the head, or the module, which is changed; or a list of heads.
        num_frames: T >= 1; with one frame the predictions stay as they are.
        pooling: ``'mean'``, ``'reference'``, ``'max'`` or ``'attention'``, see :class:`TemporalPooling`.
        index: which head of the list, for ``head={{_base_.model.decode_head}}`` of a base with several.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.

    Shape:
        features (B*T, C) -> scores (B, K).

    Raises:
        ValueError: for an unknown pooling or one of maps, a head of several tasks, as soon as frames and images do not
            fit, or on loading weights that were trained with another pooling.
    """
    head = pick_head(head, index)
    host = build_head(head)
    if isinstance(host, MultiTaskHead):
        raise ValueError('MultiTaskHead picks images for each task itself and cannot pool frames; use one head a model')
    if pooling in ALIGNED:
        raise ValueError(f'pooling={pooling!r} aligns maps of logits; scores of a classification have no place')
    num_classes = getattr(host, 'num_classes', None)
    if num_classes is None and isinstance(head, Mapping):  # some heads keep no number of what their config says
        num_classes = head.get('num_classes')
    return pool_head(host, num_frames, pooling, num_classes, accept_difference)
