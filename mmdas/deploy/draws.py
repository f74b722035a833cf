"""Random numbers of a test as constants."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .error import ExportError


class FixedDraws(nn.Module):
    """Notes what functions draw from a generator of their own, and gives the same again, in the same order.

    A graph cannot hold a generator, and a graph that draws by itself would draw anew for every image. What is noted are
    the draws for one image; within :meth:`giving` all images of a batch get the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Draw as usual, and note it."""
        self.count = 0
        mode = _Note()
        with mode:
            yield
        for tensor in mode.drawn:
            self.register_buffer(f'draw{self.count}', tensor, persistent=False)
            self.count += 1

    @contextmanager
    def giving(self, images: Any) -> Iterator[None]:
        """Give what was noted, while a graph is recorded.

        Args:
            images: how many a batch has, which may be a symbol.

        Raises:
            ExportError: if something is drawn whose shape has no place for the images.
        """
        with _Give([getattr(self, f'draw{index}') for index in range(self.count)], images):
            yield


class _Note(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Tensor] = []

    def __torch_function__(self, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if draws(function, kwargs):
            self.drawn.append(result)
        return result


class _Give(TorchFunctionMode):
    def __init__(self, given: Sequence[Tensor], images: Any) -> None:
        super().__init__()
        self.given, self.images = list(given), images

    def __torch_function__(self, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.given and draws(function, kwargs):
            return repeat_draw(self.given.pop(0), shape_of(args), self.images)
        return function(*args, **(kwargs or {}))


def repeat_draw(draw: Tensor, shape: Sequence[Any], images: Any) -> Tensor:
    """What was drawn for the frames of one image, for those of several.

    Args:
        draw: (..., F, ...), of F frames.
        shape: that is asked for: the same, with a symbol for the frames of all images.
        images: their number B; image b has the places b, B + b, 2 B + b, ... of the B * F.

    Raises:
        ExportError: for another shape.
    """
    open_sides = [place for place, side in enumerate(shape) if isinstance(side, torch.SymInt)]
    if len(shape) != draw.ndim or len(open_sides) > 1:
        raise ExportError(
            f'a random operation draws {tuple(draw.shape)} for one image and {tuple(shape)} for several; draw numbers '
            'with one side for the frames, or search a policy without it'
        )
    if not open_sides:
        return draw
    (place,) = open_sides
    sizes = [*draw.shape[: place + 1], images, *draw.shape[place + 1 :]]
    return draw.unsqueeze(place + 1).expand(sizes).flatten(place, place + 1)


def shape_of(args: Sequence[Any]) -> Sequence[Any]:
    """The shape that ``torch.randn(shape)``, ``torch.randn(*shape)`` or ``torch.bernoulli(tensor)`` is to have."""
    if args and isinstance(args[0], Tensor):
        return args[0].shape
    return args[0] if args and isinstance(args[0], (tuple, list)) else args


def draws(function: Callable, kwargs: Any) -> bool:
    """Whether a call draws random numbers from a generator that is given to it."""
    return isinstance((kwargs or {}).get('generator'), torch.Generator)
