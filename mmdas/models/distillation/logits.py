"""The logits that a head computes on its way to a loss or a prediction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.search.das.operation import Size

from .error import DistillationError


@contextmanager
def recording(head: nn.Module) -> Iterator[list[Any]]:
    """Note what the ``forward`` of a head returns, whoever calls it.

    The heads of MMSegmentation call their ``forward`` by name, which hooks of PyTorch do not see.

    Args:
        head: any head.

    Yields:
        The list that the outputs of each call are appended to.
    """
    outputs: list[Any] = []
    forward, own = head.forward, vars(head).get('forward')

    def record(*args: Any, **kwargs: Any) -> Any:
        outputs.append(forward(*args, **kwargs))
        return outputs[-1]

    head.forward = record
    try:
        yield outputs
    finally:
        del head.forward
        if own is not None:
            head.forward = own


def pick_logits(output: Any, place: int | None, whose: str, option: str = 'output') -> Tensor:
    """The logits within what a head returns.

    Args:
        output: a tensor, or a tuple or list of several.
        place: of the logits in a tuple. Default: the only tensor with the most dimensions.
        whose: for messages, such as ``'the student (FCNHead)'``.
        option: of the hook that is ``place``, for messages.

    Returns:
        (B, K) or (B, K, h, w).

    Raises:
        DistillationError: if there are several, or none, or one and a place.
    """
    if torch.is_tensor(output):
        if place is not None:
            raise DistillationError(
                f'{option}={place} of mmdas.DistillHook says which of several tensors is the prediction, and {whose} '
                'returns one; leave it out'
            )
        return output
    parts = list(output) if isinstance(output, (tuple, list)) else []
    found = [index for index, part in enumerate(parts) if torch.is_tensor(part)]
    if place is not None:
        if place not in found:
            raise DistillationError(
                f'{option}={place} of mmdas.DistillHook is no tensor of {whose}, whose places are {found}'
            )
        return parts[place]
    most = max((parts[index].ndim for index in found), default=0)
    found = [index for index in found if parts[index].ndim == most]
    if len(found) != 1:
        raise DistillationError(
            f'{whose} returns {len(found)} tensors of logits; say which of the places {found} is the prediction by '
            f'{option}=PLACE of mmdas.DistillHook, or take a head that returns one tensor'
        )
    return parts[found[0]]


def check_classes(student: Tensor, teacher: Tensor) -> None:
    """Check that student and teacher predict the same classes.

    Raises:
        DistillationError: naming both numbers.
    """
    if student.shape[:2] != teacher.shape[:2] or student.ndim != teacher.ndim:
        raise DistillationError(
            f'the logits of the student are {tuple(student.shape)}, those of the teacher {tuple(teacher.shape)}; both '
            'need the same classes (num_classes and out_channels of the head) and the same task'
        )


def resized(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Maps of logits at another size, bilinear; those of the size, or without positions, as they are."""
    if logits.ndim != 4 or logits.shape[-2:] == torch.Size(size):
        return logits
    return F.interpolate(logits.float(), size=tuple(size), mode='bilinear', align_corners=False)


def content_map(sizes: Sequence[Size] | None, canvas: Size, logits: Tensor) -> Tensor | None:
    """Which positions of a map show an image and no padding.

    Args:
        sizes: (H, W) of each image in the upper left corner of the batch; None where nothing is padded.
        canvas: (H, W) of the batch.
        logits: (B, K, h, w) over the canvas.

    Returns:
        (B, 1, h, w), True for content; None where all is content.
    """
    if sizes is None or logits.ndim != 4:
        return None
    height, width = logits.shape[-2:]
    rows = torch.arange(height, device=logits.device).view(1, 1, -1, 1) * canvas[0]
    columns = torch.arange(width, device=logits.device).view(1, 1, 1, -1) * canvas[1]
    limits = torch.tensor(sizes, device=logits.device).view(-1, 2, 1, 1)
    return (rows < limits[:, :1] * height) & (columns < limits[:, 1:] * width)
