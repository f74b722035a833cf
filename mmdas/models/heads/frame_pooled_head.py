"""What the segmentation and the classification heads share: a head whose forward pools over the frames."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.host_extension import HostExtension, build_host

from .temporal_pooling import TemporalPooling, pool_structure


class FramePooledHead(HostExtension):
    """A head whose ``forward`` pools its predictions over the frames, before loss and prediction.

    The instance *is* the host's head, of a class made at run time, see :class:`HostExtension`.
    """

    part_name = 'temporal_pooling'

    def __new__(
        cls,
        head: Mapping | nn.Module | Sequence[Mapping | nn.Module],
        num_frames: int | None = None,
        pooling: str = 'mean',
        index: int | None = None,
        accept_difference: bool = False,
        any_frames: bool = False,
        used_frames: int | None = None,
    ) -> 'FramePooledHead':
        head = pick_head(head, index)
        host = build_host(head)
        channels = cls.find_channels(host, head, pooling)
        self = cls.extend(host)
        self.temporal_pooling = TemporalPooling(
            num_frames, pooling, channels, accept_difference, any_frames, used_frames
        )
        return self

    @classmethod
    def find_channels(cls, host: nn.Module, config: Mapping | nn.Module, pooling: str) -> int | None:
        """Channels K of the predictions, None where the head does not say; ValueError for what cannot be pooled."""
        raise NotImplementedError

    def forward(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Predictions of the frames, pooled."""
        args = tuple(self._per_frame(value, inputs) for value in args)
        kwargs = {key: self._per_frame(value, inputs) for key, value in kwargs.items()}
        return pool_structure(super().forward(inputs, *args, **kwargs), self.temporal_pooling)

    def loss(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Loss of the pooled prediction; zero where no pixel of the batch counts, on which some losses fail."""
        if self._all_ignored(args, kwargs):
            return {'loss_ignored': self._zero(inputs)}
        with self._counted(inputs, args, kwargs):
            return super().loss(inputs, *args, **kwargs)

    def predict(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Pooled prediction."""
        with self._counted(inputs, args, kwargs):
            return super().predict(inputs, *args, **kwargs)

    def _per_frame(self, value: Any, inputs: Any) -> Any:
        """Pooled predictions of an earlier head of a cascade, repeated for every frame."""
        num_frames = self.temporal_pooling.known_frames()
        if torch.is_tensor(value) and value.ndim and value.shape[0] * num_frames == first_tensor(inputs).shape[0]:
            return value.repeat_interleave(num_frames, dim=0)
        return value

    def _all_ignored(self, args: tuple, kwargs: dict) -> bool:
        """Whether every pixel of every label map has the label that does not count."""
        ignore_index = getattr(self, 'ignore_index', None)
        for samples in (*args, *kwargs.values()):
            if isinstance(samples, (list, tuple)) and samples and hasattr(samples[0], 'gt_sem_seg'):
                return all(bool((sample.gt_sem_seg.data == ignore_index).all()) for sample in samples)
        return False

    def _zero(self, inputs: Any) -> Tensor:
        """Zero with a gradient for features and parameters, as distributed training needs; NaN where these are."""
        return sum((0 * tensor).sum() for tensor in (*all_tensors(inputs), *self.parameters()))

    @contextmanager
    def _counted(self, inputs: Any, args: tuple, kwargs: dict) -> Iterator[None]:
        """The head cannot see how many images its frames come from, but its samples tell, for this batch."""
        for samples in (*args, *kwargs.values()):
            is_batch = isinstance(samples, (list, tuple)) and len(samples) > 0 and not torch.is_tensor(samples[0])
            if is_batch:  # without samples the number may be open: an export has any
                self._check_count(int(first_tensor(inputs).shape[0]), len(samples))
            self.temporal_pooling.counted = self.temporal_pooling.counted or is_batch
        try:
            yield
        finally:
            if self.temporal_pooling.counted:
                self.temporal_pooling.frames_now = None  # the next batch may have another number
            self.temporal_pooling.counted = False

    def _check_count(self, frames: int, images: int) -> None:
        if frames % images or not self.temporal_pooling.fits(frames // images):
            expected = 'open' if self.temporal_pooling.is_open else self.num_frames
            raise ValueError(
                f'head.num_frames is {expected}, but {images} images came as {frames} frames '
                f'(num_frames={frames / images:g} of the backbone); leave it out of the head, or set both '
                'from one variable'
            )


def pick_head(head: Any, index: int | None) -> Mapping | nn.Module:
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
