"""A run whose loss is not finite ends, or leaves such steps out."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdas.engine.finite import NotFiniteError, check_finite
from mmdas.engine.steps import SearchStep
from mmdas.engine.utils import unwrap
from mmdas.registry import HOOKS

ACTIONS = ('stop', 'skip')
REMEDY = (
    'the run ends, its checkpoints are from before; lower the learning rate, clip gradients '
    '(optim_wrapper.clip_grad=dict(max_norm=1)), look at the data, or leave such steps out by '
    "custom_hooks=[dict(type='mmdas.FiniteLossHook', action='skip')]"
)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Look at the losses of every iteration.

    After the iteration and before anything is saved. On a GPU the losses of an iteration are looked at after the next
    one, so that the GPU need not be waited for; no checkpoint is written in between, since
    :class:`AtomicCheckpointHook` looks at the weights.

    Args:
        action: ``'stop'`` ends the run. ``'skip'`` leaves the step out when a gradient is not finite: the weights,
            their optimiser's state and the statistics of the norms stay as they were before the iteration.
        patience: steps in a row that may be left out; one more ends the run.

    Raises:
        NotFiniteError: naming the iteration and the loss.
        ValueError: for another action.
    """

    priority = 'VERY_HIGH'

    def __init__(self, action: str = 'stop', patience: int = 10) -> None:
        if action not in ACTIONS:
            raise ValueError(f'FiniteLossHook.action must be one of {ACTIONS}, got {action!r}')
        if patience < 0:
            raise ValueError(f'FiniteLossHook.patience must be at least 0, got {patience}')
        self.action = action
        self.patience = patience
        self.skipped = 0  # in a row
        self._dropped = False  # in this iteration
        self._guarded: list[Optimizer] = []
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._last: tuple[int, dict[str, Any]] | None = None

    def before_train(self, runner: Runner) -> None:
        """Stand between the gradients and the optimisers."""
        if self.action == 'skip':
            wrappers = runner.optim_wrapper
            for wrapper in wrappers.values() if hasattr(wrappers, 'optim_wrappers') else [wrappers]:
                self._guard(wrapper.optimizer)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Remember the statistics of the norms, which the pass forward changes."""
        self._dropped = False
        if self.action == 'skip':
            for optimizer in own_optimizers(runner):  # which a step may build at its first batch
                self._guard(optimizer)
            self._buffers = [(buffer, buffer.clone()) for buffer in floating_buffers(unwrap(runner.model))]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Look at the losses, or undo what is left of a step that was left out."""
        if self._dropped:
            self._undo(runner, outputs)
            return
        self.skipped = 0
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        waits = any(isinstance(value, Tensor) and value.is_cuda for value in losses.values())
        if self._last is not None:
            self._check(*self._last)
        self._last = runner.iter + 1, losses
        if not waits or self.is_last_train_iter(runner):
            self._check(*self._last)
            self._last = None

    @staticmethod
    def _check(iteration: int, losses: dict[str, Any]) -> None:
        check_finite({f'{name} of iteration {iteration}': value for name, value in losses.items()}, REMEDY)

    def _guard(self, optimizer: Optimizer) -> None:
        """Stand before the steps of an optimiser, once."""
        if not any(one is optimizer for one in self._guarded):
            self._guarded.append(optimizer)
            optimizer.register_step_pre_hook(self._drop_gradients)

    @torch.no_grad()
    def _drop_gradients(self, optimizer: Optimizer, *_: Any) -> None:
        parameters = [one for group in optimizer.param_groups for one in group['params'] if one.grad is not None]
        if parameters and not torch.stack([one.grad.sum().float() for one in parameters]).sum().isfinite():
            for parameter in parameters:
                parameter.grad = None
            self._dropped = True

    @torch.no_grad()
    def _undo(self, runner: Runner, outputs: dict[str, Any] | None) -> None:
        for buffer, before in self._buffers:
            buffer.copy_(before)
        self.skipped += 1
        place = f'iteration {runner.iter + 1}'
        if self.skipped > self.patience:
            raise NotFiniteError(f'the gradients of {self.skipped} iterations up to {place} are not finite: {REMEDY}')
        runner.logger.warning(f'{place} left out: its gradients are not finite ({self.skipped} in a row)')


def own_optimizers(runner: Runner) -> list[Optimizer]:
    """Optimisers of a search's step, such as that of a critic, beside those of weights and policy."""
    step = getattr(runner.train_loop, 'step', None)
    return step.own_optimizers() if isinstance(step, SearchStep) else []


def floating_buffers(model: nn.Module) -> list[Tensor]:
    """Buffers that are not counts, such as the statistics of norms."""
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]
