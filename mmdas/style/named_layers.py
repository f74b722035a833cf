"""Features of any network by the names of its modules."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from .vgg import MEAN, STD


class FeatureNetwork(Protocol):
    """What style methods ask of a network: images (N, 3, H, W) in [0, 1] -> features (N, C, h, w) by layer."""

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features of the named layers."""
        ...


class NamedLayers(nn.Module):
    """A network whose layers are known by the names of its modules, as of ``network.named_modules()``.

    Args:
        network: whatever takes images; it is changed: frozen, in evaluation mode.
        mean, std: the normalisation of its images, of colours in [0, 1]. Default: those of ImageNet.

    Shape:
        images (N, 3, H, W) -> a dict of features (N, C, h, w) by layer.

    Raises:
        ValueError: for a name that the network has not, a module that did not run, or one whose output is no map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features of some modules."""
        modules = dict(self.network.named_modules())
        unknown = [name for name in layers if name not in modules]
        if unknown:
            raise ValueError(f'{type(self.network).__name__} has no module {unknown[0]}; see its named_modules()')
        found: dict[str, Tensor] = {}
        hooks = [modules[name].register_forward_hook(partial(keep, found, name)) for name in layers]
        try:
            self.network((images - self.mean) / self.std)
        finally:
            for hook in hooks:
                hook.remove()
        for name in layers:
            if name not in found or found[name].ndim != 4:
                raise ValueError(f'{name} of {type(self.network).__name__} gave no features (N, C, H, W)')
        return found


def keep(found: dict[str, Tensor], name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
    """Note a module's output; a copy, since the next module may change it in place."""
    found[name] = output.clone()
