"""What the segmentation and the classification heads share: a head whose forward pools over the frames."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.host_calls import keep_start
from mmdas.registry import MODELS

from .temporal_pooling import TemporalPooling, pool_structure


class _PooledCalls:
    """Stand-ins for a head's ``forward``, ``loss`` and ``predict``, kept on the instance.

    Bound methods of an object that holds the head, so that a deep copy of the head calls the copy's parameters.
    """

    def __init__(self, head: nn.Module) -> None:
        self.head = head

    def forward(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Predictions of the frames, pooled."""
        pooling = self.head.temporal_pooling
        args = [self._per_frame(value, inputs) for value in args]
        kwargs = {key: self._per_frame(value, inputs) for key, value in kwargs.items()}
        return pool_structure(type(self.head).forward(self.head, inputs, *args, **kwargs), pooling)

    def loss(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Loss of the pooled prediction; zero where no pixel of the batch counts, on which some losses fail."""
        self._check_images(inputs, args, kwargs)
        if self._all_ignored(args, kwargs):
            return {'loss_ignored': self._zero(inputs)}
        return type(self.head).loss(self.head, inputs, *args, **kwargs)

    def predict(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Pooled prediction."""
        self._check_images(inputs, args, kwargs)
        return type(self.head).predict(self.head, inputs, *args, **kwargs)

    def _per_frame(self, value: Any, inputs: Any) -> Any:
        """Pooled predictions of an earlier head of a cascade, repeated for every frame."""
        num_frames = self.head.temporal_pooling.num_frames
        if torch.is_tensor(value) and value.ndim and value.shape[0] * num_frames == first_tensor(inputs).shape[0]:
            return value.repeat_interleave(num_frames, dim=0)
        return value

    def _all_ignored(self, args: tuple, kwargs: dict) -> bool:
        """Whether every pixel of every label map has the label that does not count."""
        ignore_index = getattr(self.head, 'ignore_index', None)
        for samples in (*args, *kwargs.values()):
            if isinstance(samples, (list, tuple)) and samples and hasattr(samples[0], 'gt_sem_seg'):
                return all(bool((sample.gt_sem_seg.data == ignore_index).all()) for sample in samples)
        return False

    def _zero(self, inputs: Any) -> Tensor:
        """Zero with a gradient for features and parameters, as distributed training needs; NaN where these are."""
        return sum((0 * tensor).sum() for tensor in (*all_tensors(inputs), *self.head.parameters()))

    def _check_images(self, inputs: Any, args: tuple, kwargs: dict) -> None:
        """The head cannot see how many images its frames come from, but its samples tell."""
        num_frames, frames = self.head.temporal_pooling.num_frames, first_tensor(inputs).shape[0]
        for samples in (*args, *kwargs.values()):
            is_batch = isinstance(samples, (list, tuple)) and len(samples) > 0 and not torch.is_tensor(samples[0])
            if is_batch and len(samples) * num_frames != frames:
                raise ValueError(
                    f'head.num_frames is {num_frames}, but {len(samples)} images came as {frames} frames '
                    f'(num_frames={frames / len(samples):g} of the backbone); set both from one variable, as in '
                    'configs/_base_'
                )


def pick_head(head: Mapping | nn.Module | Sequence[Mapping | nn.Module], index: int | None) -> Mapping | nn.Module:
    """The head itself, or that at a place of a list of heads.

    A config cannot point into a list of its base: ``{{_base_.model.decode_head}}`` is the whole list.

    Raises:
        ValueError: for a list without an index, an index without a list, or one outside the list.
    """
    if isinstance(head, (list, tuple)):
        if index is None or not 0 <= index < len(head):
            raise ValueError(f'head is a list of {len(head)}; index says which of them, got {index}')
        return head[index]
    if index is not None:
        raise ValueError(f'index is {index}, but head is no list; leave index out')
    return head


def build_head(head: Mapping | nn.Module) -> nn.Module:
    """The head of a config; a module passes."""
    return head if isinstance(head, nn.Module) else MODELS.build(head)


def pool_head(
    host: nn.Module, num_frames: int, pooling: str, num_classes: int | None, accept_difference: bool = False
) -> nn.Module:
    """Change a head so that it pools its per-frame predictions over time before loss and prediction.

    Args:
        host: the head.
        num_frames: T >= 1.
        pooling: mode of :class:`TemporalPooling`.
        num_classes: K, channels of the predictions, where the mode needs it.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.

    Raises:
        ValueError: for an unknown mode or a head that already pools.
    """
    if hasattr(host, 'temporal_pooling'):
        raise ValueError(f'{type(host).__name__} already pools over time; wrap a head only once')
    host.num_frames = num_frames
    host.temporal_pooling = TemporalPooling(num_frames, pooling, num_classes, accept_difference)
    calls = _PooledCalls(host)
    host.loss, host.predict = calls.loss, calls.predict
    keep_start(host, host.temporal_pooling)
    if num_frames > 1:
        host.forward = calls.forward
    return host


def all_tensors(inputs: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples or lists of features."""
    if torch.is_tensor(inputs):
        yield inputs
    elif isinstance(inputs, (list, tuple)):
        for part in inputs:
            yield from all_tensors(part)


def first_tensor(inputs: Any) -> Tensor:
    """First tensor in nested tuples or lists of features."""
    while not torch.is_tensor(inputs):
        inputs = inputs[0]
    return inputs
