"""A count of passes of a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import nn


class Passes:
    """Passes of a network, forward and backward."""

    def __init__(self) -> None:
        self.forward = self.backward = 0

    def _counted(self, function: Callable) -> Callable:
        def call(*args, **kwargs) -> object:
            self.backward += 1
            return function(*args, **kwargs)

        return call

    def _count_forward(self, *_: object) -> None:
        self.forward += 1


@contextmanager
def count_passes(network: nn.Module) -> Iterator[Passes]:
    """Count the forward passes of a network and all backward passes.

    A backward pass is a call of autograd; the second derivatives of a gradient penalty are a pass of their own.
    """
    passes = Passes()
    hook = network.register_forward_hook(passes._count_forward)
    autograd = torch.autograd
    try:
        with (
            patch.object(autograd, 'backward', passes._counted(autograd.backward)),
            patch.object(autograd, 'grad', passes._counted(autograd.grad)),
        ):
            yield passes
    finally:
        hook.remove()
