"""The step of DADA (Li et al., ECCV 2020) and of second-order DARTS (Liu et al., ICLR 2019)."""

from collections.abc import Mapping

from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.registry import TASK_UTILS
from mmdas.search.look_ahead import look_ahead_gradient

from .search_step import Batch, SearchStep, trained_parameters


@TASK_UTILS.register_module()
class LookAheadStep(SearchStep):
    """Step the policy for the held-out loss after a step of the weights, then the weights. Five passes.

    The step ahead is plain gradient descent with the learning rates of the weights. It and the finite differences draw
    the random numbers that the step of the weights then draws again. Running statistics of norms see all passes.

    Args:
        model, optim_wrapper: see :class:`SearchStep`.

    Raises:
        ValueError: for several processes or mixed precision.
    """

    passes = 5.0

    def __init__(self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper]) -> None:
        super().__init__(model, optim_wrapper)
        self._check_plain()

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        wrapper = self.optim_wrapper['policy']
        policy = trained_parameters(wrapper.optimizer)
        weights, rates = self._weights_and_rates()
        gradients, loss = look_ahead_gradient(self._loss, weights_batch, policy_batch, policy, weights, rates)
        for parameter, gradient in zip(policy, gradients, strict=True):
            parameter.grad = gradient
        wrapper.step()
        wrapper.zero_grad()
        return {**self.train(weights_batch), 'policy_loss': loss}

    def _weights_and_rates(self) -> tuple[list[nn.Parameter], list[float]]:
        """The weights that are trained, and the learning rate of each."""
        optimizer = self.optim_wrapper['weights'].optimizer
        weights = trained_parameters(optimizer)
        rate_of = {id(weight): group['lr'] for group in optimizer.param_groups for weight in group['params']}
        return weights, [rate_of[id(weight)] for weight in weights]

    def _loss(self, batch: Batch) -> Tensor:
        with kept_random_state():
            data = self.model.data_preprocessor(batch, True)
            return self.model.parse_losses(self.model(**data, mode='loss'))[0]
