"""How good a model is as it stands, on the same batches again and again."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.engine.utils import main_head, unwrap

from .base_selection import Score

CRITERIA = ('accuracy', 'loss')


class Trials:
    """Evaluates the trials of a selection.

    Args:
        model: of the search.
        optim_wrapper: of the weights, in whose precision the model runs.
        criterion: what a trial is judged by, see :class:`mmdas.engine.IterBasedSearchLoop`.
        num_batches: of a trial; with 0 there is none.

    Raises:
        ValueError: for an unknown criterion or one that means nothing for the head.
    """

    def __init__(self, model: nn.Module, optim_wrapper: OptimWrapper, criterion: str, num_batches: int) -> None:
        if criterion not in CRITERIA:
            raise ValueError(f'train_cfg.criterion must be one of {CRITERIA}, got {criterion!r}')
        self.model = unwrap(model)
        self.optim_wrapper = optim_wrapper
        self.criterion = criterion
        host, head = main_head(self.model)
        accuracy = criterion == 'accuracy' and num_batches
        if accuracy and host.label_maps and getattr(head, 'out_channels', None) == 1:
            raise ValueError(
                f"train_cfg.criterion is 'accuracy', but {host.heads[0]}.out_channels is 1: the accuracy logged for a "
                "head of one channel is the share of the background; set train_cfg.criterion='loss'"
            )

    @torch.no_grad()
    def score(self, batches: list[dict]) -> Score:
        """Score of the model as it stands; running statistics and random state are left alone.

        Raises:
            FloatingPointError: if the model has diverged.
        """
        model = self.model
        model.eval()
        total = torch.zeros(2, device=next(model.parameters()).device)
        with _without_batch_augments(model), kept_random_state(), self.optim_wrapper.optim_context(model):
            for batch in batches:
                data = model.data_preprocessor(batch, True)
                loss, values = model.parse_losses(model(**data, mode='loss'))
                total += torch.stack([_accuracy(values, loss) * (self.criterion == 'accuracy'), -loss]) / len(batches)
        model.train()
        all_reduce(total, op='mean')
        score = Score(*total.tolist())
        if not all(map(math.isfinite, score)):
            raise FloatingPointError(
                f'a trial of the selection gave {score}: the weights have diverged; lower the learning rate of '
                'optim_wrapper.weights or clip its gradients'
            )
        return score


def _accuracy(values: Mapping[str, Tensor], loss: Tensor) -> Tensor:
    """First accuracy among the logged values, 0 where the head reports none."""
    return next((value.to(loss) for key, value in values.items() if 'acc' in key), torch.zeros_like(loss))


@contextmanager
def _without_batch_augments(model: Any) -> Iterator[None]:
    """Keep random mixing of images out of the trials, which have to see the same batches."""
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, 'batch_augments', None) is None:
        yield
        return
    augments, preprocessor.batch_augments = preprocessor.batch_augments, None
    try:
        yield
    finally:
        preprocessor.batch_augments = augments
