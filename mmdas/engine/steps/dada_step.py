"""The step of DADA (Li et al., ECCV 2020)."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdas.engine.utils import find_searchable
from mmdas.registry import TASK_UTILS
from mmdas.search.dada import ControlVariate, DADASearch, PairDraw, relax_gradient, variance_gradients
from mmdas.search.look_ahead import look_ahead_gradient

from .look_ahead_step import LookAheadStep
from .search_step import Batch


@TASK_UTILS.register_module()
class DADAStep(LookAheadStep):
    """Step the policy for the held-out loss after a step of the weights on a drawn batch, then the weights.

    The batch of the weights gets one draw: a pair of operations and a bit for each. What the step of the weights
    changes in the held-out loss, to first order and for a rate of 1, is a function of the draw, without a derivative in
    it: RELAX estimates the gradient of its mean in the distribution. The gradient in the magnitudes is that of the
    look-ahead loss. The step ahead is plain gradient descent, whatever optimiser the weights have. The held-out batch
    stays as it is.

    The published code applies RELAX to both losses of the finite difference apart, with one control variate: it then
    drops out of their difference, and what is left is REINFORCE. Here RELAX is applied to the difference.

    Args:
        model: see :class:`SearchStep`; its data preprocessor holds a :class:`mmdas.search.dada.DADASearch`.
        optim_wrapper: see :class:`SearchStep`.
        optimizer: config of the control variate's optimiser. Default: Adam as that work's.

    Raises:
        ValueError: for several processes, mixed precision, or a model that searches something else.
    """

    alternative = ''

    def __init__(
        self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper], optimizer: Mapping | None = None
    ) -> None:
        super().__init__(model, optim_wrapper)
        searchable = find_searchable(model)
        if not isinstance(searchable, DADASearch):
            raise ValueError(
                f'DADAStep steps a DADASearch, but the model searches a {type(searchable).__name__}; take another '
                'train_cfg.step'
            )
        self.searchable = searchable
        logits = searchable.pair_logits
        self.control = ControlVariate(sum(p.numel() for p in searchable.drawn_parameters)).to(logits)
        cfg = copy.deepcopy(dict(optimizer or dict(type='Adam', lr=0.005, betas=(0.5, 0.999))))
        self.control_optimizer = OPTIMIZERS.build({**cfg, 'params': self.control.parameters()})

    def own_optimizers(self) -> list[Optimizer]:
        """That of the control variate."""
        return [self.control_optimizer]

    def state_dict(self) -> dict[str, Any]:
        """The control variate and its optimiser."""
        return {'control': self.control.state_dict(), 'optimizer': self.control_optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.control.load_state_dict(state['control'])
        self.control_optimizer.load_state_dict(state['optimizer'])

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        draw = self.searchable.draw()
        with self.searchable.only(draw):
            change, magnitudes, held_out = self._look_ahead(policy_batch, weights_batch)
            self._step_policy(draw, change, magnitudes)
            return {**self.train(weights_batch), 'policy_loss': held_out, 'policy_change': change}

    def _look_ahead(self, policy_batch: Batch, weights_batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What the step changes in the held-out loss, to first order; its gradient in the magnitudes; that loss.

        Both are for a rate of 1, so that their size does not follow the schedule of the weights.
        """
        weights, rates = self._weights_and_rates()
        unit = max(rates) or 1.0
        # Its derivative at 1, as a factor of the loss that the weights step along, is the change.
        factor = torch.ones((), dtype=weights[0].dtype, device=weights[0].device, requires_grad=True)
        magnitudes = self.searchable.magnitude_logits

        def loss(batch: tuple[str, Batch]) -> Tensor:
            part, data = batch
            if part == 'weights':
                return factor * self._loss(data)
            with self.searchable.without():
                return self._loss(data)

        gradients, held_out = look_ahead_gradient(
            loss, ('weights', weights_batch), ('policy', policy_batch), [factor, magnitudes], weights, rates
        )
        return gradients[0] / unit, gradients[1] / unit, held_out

    def _step_policy(self, draw: PairDraw, change: Tensor, magnitudes: Tensor) -> None:
        """Step the policy along the estimate, and the control variate along the gradient of its variance."""
        searchable, control = self.searchable, list(self.control.parameters())
        drawn = searchable.drawn_parameters
        estimates = relax_gradient(
            change.to(draw.log_probability),
            draw.log_probability,
            self.control(draw.relaxed),
            self.control(draw.given),
            drawn,
        )
        for parameter, gradient in zip(control, variance_gradients(estimates, control), strict=True):
            parameter.grad = gradient
        for parameter, estimate in zip(drawn, estimates, strict=True):
            parameter.grad = estimate.detach()
        searchable.magnitude_logits.grad = magnitudes
        self.control_optimizer.step()
        self.control_optimizer.zero_grad()
        wrapper = self.optim_wrapper['policy']
        wrapper.step()
        wrapper.zero_grad()
