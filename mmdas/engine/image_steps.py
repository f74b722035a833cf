"""Steps of a search on the image alone: one frame of T, at a part of the cost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.frame_count import FrameCount

from .search_error import SearchError
from .utils import unwrap


@contextmanager
def on_image(model: nn.Module) -> Iterator[None]:
    """Let a model see the image in place of its clip for a while."""
    host = unwrap(model)
    before, host.data_preprocessor.used_frames = host.data_preprocessor.used_frames, 1
    hook = host.backbone.register_forward_pre_hook(_touch_parameters(host)) if is_model_wrapper(model) else None
    try:
        yield
    finally:
        host.data_preprocessor.used_frames = before
        if hook is not None:
            hook.remove()


def _touch_parameters(host: Any) -> Callable[[nn.Module, tuple], tuple]:
    """Give all parameters a gradient, also those that only clips depend on: the wrapper waits for each of them."""
    parameters = [parameter for parameter in host.parameters() if parameter.requires_grad]

    def add_zero(backbone: nn.Module, args: tuple) -> tuple:
        return (args[0] + 0 * sum(parameter.sum() for parameter in parameters), *args[1:])

    return add_zero


def check_image_steps(model: nn.Module, name: str, length: int, warmup: int) -> None:
    """Check that a model can take steps on the image alone.

    Args:
        model: of the search.
        name: of the setting, for the message.
        length: of these steps, the first of the warm-up.
        warmup: length of the warm-up.

    Raises:
        SearchError: for a length outside of the warm-up, or a model that takes clips of T frames alone.
    """
    if type(length) is not int or not 0 <= length <= warmup:
        raise SearchError(f'train_cfg.{name} must be a whole number within the warm-up of {warmup}, got {length!r}')
    host = unwrap(model)
    if not length:
        return
    if not isinstance(host.data_preprocessor, ImageToClip) or host.data_preprocessor.num_frames == 1:
        raise SearchError(f'train_cfg.{name} is {length}, but the model sees the image alone anyway; leave it out')
    for place, module in host.named_modules():
        if isinstance(module, FrameCount) and not module.any_frames:
            raise SearchError(
                f'train_cfg.{name} is {length}, but {place} takes clips of T frames alone; set any_frames=True in the '
                'backbone and in each head, or leave it out'
            )
