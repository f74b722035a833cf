"""A policy iteration of the search loop on given batches, as it is and in its naive form, and a count of passes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmdas.engine.runner.search_loop import SearchLoop
from mmdas.engine.utils import find_cell


class SearchSteps(SearchLoop):
    """The steps of the search loop without its data loaders, schedule and hooks.

    Args:
        model: a model with a cell, in training mode.
        optim_wrapper: with the keys ``policy`` and ``weights``.
    """

    def __init__(self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper]) -> None:
        self._runner = SimpleNamespace(model=model, optim_wrapper=optim_wrapper)

    def run(self, policy_batch: dict, weights_batch: dict) -> dict[str, Tensor]:
        """Step the policy on one batch, then the weights on another; losses of both."""
        policy = self._step('policy', policy_batch)
        weights = self._step('weights', weights_batch)
        return {**weights, **{f'policy_{name}': value for name, value in policy.items()}}


class NaiveSearchSteps(SearchSteps):
    """The same computation as one would write it first.

    All parameters get gradients in both steps, and the cell runs operation by operation.
    """

    def __init__(self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper]) -> None:
        super().__init__(model, optim_wrapper)
        cell = find_cell(model)
        cell.forward = cell._loop

    def _fixed(self, optimizer: torch.optim.Optimizer) -> nullcontext:
        return nullcontext()


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
