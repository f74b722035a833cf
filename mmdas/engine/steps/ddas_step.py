"""The step of DDAS (Liu et al., ICCV 2021)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmdas.engine.utils import find_searchable, unwrap
from mmdas.registry import TASK_UTILS
from mmdas.search.ddas import DDASSearch, combine, policy_objective, usefulness

from .search_step import Batch, SearchStep, trained_parameters


@TASK_UTILS.register_module()
class DDASStep(SearchStep):
    """Step the weights along clean and augmented gradients, and the policy for the held-out loss after that step.

    A pass over the clean batch, one over each of its copies, and one over the held-out batch at the new weights. The
    policy's gradient is exact where the weights have plain gradient descent, without momentum and decay, as the search
    configs set it. With several processes the gradients are averaged before they are used. In mixed precision
    gradients are unscaled at once, and a step whose gradients overflow is left out, as by the scaler of PyTorch.

    Args:
        model: see :class:`SearchStep`; its data preprocessor holds a :class:`mmdas.search.ddas.DDASSearch`.
        optim_wrapper: see :class:`SearchStep`.
        copies: L, of the batch, each with a sequence of operations of its own. Default: 3.
        share_batch: let clean images and copies be parts of the batch, each image in one of them, in place of copies
            of the whole batch: a step of 2 passes in place of ``copies`` + 2. Default: False.

    Raises:
        ValueError: for no copy, or a model that searches something else.
    """

    def __init__(
        self,
        model: nn.Module,
        optim_wrapper: Mapping[str, OptimWrapper],
        copies: int = 3,
        share_batch: bool = False,
    ) -> None:
        super().__init__(model, optim_wrapper)
        if copies < 1:
            raise ValueError(f'DDASStep.copies must be at least 1, got {copies}')
        self.copies, self.share_batch = copies, share_batch
        self.passes = 2.0 if share_batch else copies + 2.0
        searchable = find_searchable(model)
        if not isinstance(searchable, DDASSearch):
            raise ValueError(
                f'DDASStep steps a DDASSearch, but the model searches a {type(searchable).__name__}; take another '
                'train_cfg.step'
            )
        self.searchable = searchable

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        wrapper = self.optim_wrapper['policy']
        weights = trained_parameters(self.optim_wrapper['weights'].optimizer)
        sequences = self._draw()
        with self._fixed(wrapper.optimizer):
            losses, gradients = self._gradients(weights_batch, sequences.tolist(), weights)
        probability = self.searchable.probability
        shares = self.searchable.sequence_probabilities(sequences)
        step = combine(gradients, probability.detach(), shares.detach())
        if not self._settle_scale(step):
            return {'loss': losses[0], 'augmented_loss': losses[1:].mean()}
        with as_gradients(weights, step):
            self._step('weights')
        slope = step  # its memory, which is not needed again
        with self._fixed(wrapper.optimizer), self.searchable.without():
            held_out = self._gradient(policy_batch, weights, slope)
        if not self._settle_scale(slope):
            return {'loss': losses[0], 'augmented_loss': losses[1:].mean(), 'policy_loss': held_out}
        useful = usefulness(gradients, slope)
        useful = useful / useful.abs().sum().clamp(min=torch.finfo(useful.dtype).tiny)
        wrapper.zero_grad()
        policy_objective(useful, probability, shares).backward()
        self._step('policy')
        wrapper.zero_grad()
        return {'loss': losses[0], 'augmented_loss': losses[1:].mean(), 'policy_loss': held_out}

    def _draw(self) -> Tensor:
        """Sequences of the copies, the same in all processes."""
        sequences = self.searchable.draw_sequences(self.copies)
        if is_model_wrapper(self.model):
            device = self.searchable.logits.device  # where the processes' backend communicates
            shared = sequences.to(device)
            torch.distributed.broadcast(shared, src=0)
            sequences = shared.cpu()
        return sequences

    def _gradients(
        self, batch: Batch, sequences: list[list[int]], weights: Sequence[nn.Parameter]
    ) -> tuple[Tensor, Tensor]:
        """Losses (L + 1,) and gradients (L + 1, P) of the clean batch and of its copies."""
        parts = split_batch(batch, len(sequences) + 1) if self.share_batch else [batch] * (len(sequences) + 1)
        losses: list[Tensor] = []
        gradients = weights[0].new_empty(len(parts), sum(weight.numel() for weight in weights))
        for row, (part, sequence) in enumerate(zip(parts, [[], *sequences], strict=True)):
            with self.searchable.only(sequence):
                losses.append(self._gradient(part, weights, gradients[row]))
        return torch.stack(losses), gradients

    def _gradient(self, batch: Batch, weights: Sequence[nn.Parameter], out: Tensor) -> Tensor:
        """Loss of a batch, and its gradient in ``out`` (P,); means over all processes."""
        model = unwrap(self.model)
        with self.optim_wrapper['weights'].optim_context(model):
            data = model.data_preprocessor(batch, True)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        parts = torch.autograd.grad(scaled, weights, materialize_grads=True)
        torch.cat([part.reshape(-1) for part in parts], out=out)  # some are transposed views, as of tokens
        loss = loss.detach()
        if self._scaler is not None:
            out /= self._scaler.get_scale()
        if is_model_wrapper(self.model):
            for tensor in (loss, out):
                torch.distributed.all_reduce(tensor)
                tensor /= torch.distributed.get_world_size()
        return loss

    @property
    def _scaler(self) -> Any:
        """The loss scaler of mixed precision; None without."""
        return getattr(self.optim_wrapper['weights'], 'loss_scaler', None)

    def _settle_scale(self, vector: Tensor) -> bool:
        """Whether a gradient may be used; in mixed precision one that overflowed may not, and the scale falls."""
        if self._scaler is None or torch.isfinite(vector).all():
            return True
        self._scaler.update(self._scaler.get_scale() * self._scaler.get_backoff_factor())
        return False

    def _step(self, name: str) -> None:
        """Step one of the two optimisers by the gradients that its parameters have, which are not scaled."""
        wrapper = self.optim_wrapper[name]
        (wrapper if self._scaler is None else wrapper.optimizer).step()


@contextmanager
def as_gradients(parameters: Sequence[nn.Parameter], vector: Tensor) -> Iterator[None]:
    """Let parameters have the parts of a vector (P,) as gradients for a while, and none afterwards."""
    parts = vector.split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.grad = None


def split_batch(batch: Batch, parts: int) -> list[dict[str, Any]]:
    """A batch as parts of almost equal size: image i goes to part i modulo their number.

    Of fewer images than parts, as the last batch of an epoch may have, some are in several parts.
    """
    count = len(batch['inputs'])
    return [{key: value[part % count :: parts] for key, value in batch.items()} for part in range(parts)]
