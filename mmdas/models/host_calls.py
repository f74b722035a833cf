"""Stand-ins for methods of a host's module that reach into what mmdas added to it.

A host treats all modules below it as its own: its ``init_weights`` may run over every convolution, its ``train`` may
stop the statistics of every norm. The stand-ins are kept on the instance. They are objects that hold the host and not
closures, so that a deep copy of the host calls the copy's.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def keep_start(host: nn.Module, part: nn.Module) -> None:
    """Let ``init_weights`` of a host leave the start state of a part, whatever it does to the rest.

    The part starts as its own ``init_weights`` says. Only a checkpoint that the host's initialisation loads, such as
    that of ``init_cfg=dict(type='Pretrained')``, may bring other values, and these stay.

    Args:
        host: module of a toolbox, which is changed.
        part: module below it, with a method ``init_weights``.
    """
    if hasattr(host, 'init_weights') and part.state_dict():
        host.init_weights = _InitWeights(host, part)


def keep_training(host: nn.Module, part: nn.Module) -> None:
    """Let a part have the mode that ``train`` of a host is called with, whatever it does to the rest.

    Args:
        host: module of a toolbox, which is changed.
        part: module below it.
    """
    host.train = _Train(host, part)


class _InitWeights:
    def __init__(self, host: nn.Module, part: nn.Module) -> None:
        self.host = host
        self.part = part
        self._kept: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, *args: Any, **kwargs: Any) -> None:
        if not getattr(self.host, 'is_init', False):  # otherwise it may be trained, and MMEngine's modules do nothing
            self.part.init_weights()
        self._kept = {name: tensor.clone() for name, tensor in self.part.state_dict().items()}
        handle = self.part._register_load_state_dict_pre_hook(self._keep_loaded)
        try:
            type(self.host).init_weights(self.host, *args, **kwargs)
        finally:
            handle.remove()
        for name, tensor in self.part.state_dict().items():
            tensor.copy_(self._kept[name])
        self._kept = {}

    def _keep_loaded(self, state_dict: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
        """Keep what a checkpoint brings, but for tensors of another shape, which MMEngine leaves out."""
        for name, tensor in self._kept.items():
            loaded = state_dict.get(prefix + name)
            if loaded is not None and loaded.shape == tensor.shape:
                self._kept[name] = loaded.clone()


class _Train:
    def __init__(self, host: nn.Module, part: nn.Module) -> None:
        self.host = host
        self.part = part

    def __call__(self, mode: bool = True) -> nn.Module:
        type(self.host).train(self.host, mode)
        self.part.train(mode)
        return self.host  # which ``train`` of MMSegmentation's ResNet forgets
