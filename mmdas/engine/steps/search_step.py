"""What a step of a search is: the losses and optimisers on given batches, without loaders, schedule and runner."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

Batch = Mapping[str, Any]
KEYS = ('weights', 'policy')


class SearchStep:
    """Steps the weights of a model, or its policy and its weights.

    Args:
        model: in training mode while it is stepped; a search has its distributed wrapper.
        optim_wrapper: with the keys ``weights`` and ``policy``, of ``mmdas.SearchOptimWrapperConstructor``.

    Raises:
        ValueError: if one of the two optimisers is missing.
    """

    passes = 2.0  # of :meth:`search`, each forward and backward, for the estimate of the time left
    alternative = ', or take mmdas.AlternatingStep'  # what a message offers; nothing where no other step will do

    def __init__(self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper]) -> None:
        found = list(optim_wrapper.keys()) if hasattr(optim_wrapper, 'keys') else []  # a plain one has no keys
        missing = [key for key in KEYS if key not in found]
        if missing:
            raise ValueError(
                f'a search has an optimiser for {" and ".join(KEYS)}, none found for {" and ".join(missing)}; set '
                "optim_wrapper=dict(constructor='mmdas.SearchOptimWrapperConstructor', weights=..., policy=...)"
            )
        self.model: Any = model  # of a toolbox, with its ``train_step``
        self.optim_wrapper = optim_wrapper

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        """Step policy and weights.

        Returns:
            Values for the log: those of the weights, and those of the policy with ``policy_`` before their names.
        """
        raise NotImplementedError

    def train(self, weights_batch: Batch) -> dict[str, Tensor]:
        """Step the weights alone, as in warm-up and tuning.

        Returns:
            Values for the log.
        """
        return self.update('weights', weights_batch)

    def update(self, name: str, batch: Batch) -> dict[str, Tensor]:
        """Step one of the two optimisers, the other one's parameters held fixed.

        Args:
            name: ``'weights'`` or ``'policy'``.
            batch: as a data loader gives it.

        Returns:
            Values for the log.
        """
        other = self.optim_wrapper['weights' if name == 'policy' else 'policy']
        with self._fixed(other.optimizer):
            outputs = self.model.train_step(batch, optim_wrapper=self.optim_wrapper[name])
        other.zero_grad()
        return outputs

    def own_optimizers(self) -> list[Optimizer]:
        """Optimisers of what is neither weights nor policy, as they stand. Default: none."""
        return []

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of the step beside the model and its two optimisers. Default: nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""

    @contextmanager
    def _fixed(self, *optimizers: Optimizer) -> Iterator[None]:
        """Spare the gradients of the parameters of optimisers.

        Not under a distributed wrapper, which waits for the gradient of every parameter that it has seen; there they
        are computed and dropped.
        """
        fixed = [] if is_model_wrapper(self.model) else trained_parameters(*optimizers)
        for parameter in fixed:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in fixed:
                parameter.requires_grad_(True)

    def _check_plain(self) -> None:
        """Refuse what a step cannot do that handles gradients itself.

        Raises:
            ValueError: for several processes or mixed precision.
        """
        name = type(self).__name__
        if is_model_wrapper(self.model):
            raise ValueError(f'{name} runs in one process; start without a launcher{self.alternative}')
        self._check_full_precision()

    def _check_full_precision(self) -> None:
        """Raise a ValueError for mixed precision, which a step cannot do that handles gradients itself."""
        name = type(self).__name__
        for key in KEYS:
            if isinstance(self.optim_wrapper[key], AmpOptimWrapper):
                raise ValueError(
                    f'{name} runs in full precision, but optim_wrapper.{key} is an AmpOptimWrapper; leave out '
                    f'--amp{self.alternative}'
                )


def trained_parameters(*optimizers: Optimizer) -> list[nn.Parameter]:
    """What optimisers step and nobody froze."""
    groups: Sequence[dict] = [group for optimizer in optimizers for group in optimizer.param_groups]
    return [parameter for group in groups for parameter in group['params'] if parameter.requires_grad]
