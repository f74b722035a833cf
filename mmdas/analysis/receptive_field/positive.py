"""A network whose every dependence shows as a positive derivative."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MAX_POOLS = {F.max_pool2d, F.max_pool2d_with_indices, torch.max_pool2d}
NORMS = ('norm', 'grn')  # in the names of classes, in small letters


class PassOn(nn.Module):
    """Returns its first input, in the place of a norm."""

    def forward(self, x: Tensor, *args: object, **kwargs: object) -> Tensor:
        """As it is."""
        return x


class AveragingPools(TorchFunctionMode):
    """Within it maximum pooling is average pooling, which has a derivative in all its inputs."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in MAX_POOLS:
            return func(*args, **kwargs)
        return _average_pool(*args, **kwargs)


def positive_copy(network: nn.Module) -> nn.Module:
    """A copy in double precision and evaluation mode with positive constant weights, no biases and no norms.

    Of small positive images its derivative in a pixel is positive exactly where an output depends on the pixel: nothing
    cancels, and no activation is cut off. Norms are left out, since those over an image would make its every pixel
    count. Maximum pooling needs :class:`AveragingPools` around the call.

    Args:
        network: stays as it is.
    """
    made = copy.deepcopy(network).double()
    made.eval()  # which of ResNet returns None
    for module in list(made.modules()):
        for name, child in module.named_children():
            if is_norm(child):
                module._modules[name] = PassOn()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.fill_(0.0 if name.endswith('bias') else 1 / inputs)
    return made.requires_grad_(False)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm, by its name: a block of a convolution and a norm is none."""
    named = any(word in type(module).__name__.lower() for word in NORMS)
    return named and next(module.children(), None) is None


def _average_pool(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if return_indices or dilation not in (1, (1, 1)):
        raise NotImplementedError('maximum pooling with dilation or indices has no average pooling in its place')
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)
