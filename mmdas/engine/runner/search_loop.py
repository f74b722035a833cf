"""The steps of the bilevel search (DAS, Sec. 3.3; first-order DARTS with selection by perturbation)."""

import copy
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdas.engine.hooks.random_state_hook import RandomStateHook, kept_random_state
from mmdas.engine.selection import BaseSelection, Score
from mmdas.engine.utils import find_cell, main_head, unwrap
from mmdas.registry import TASK_UTILS

from .endless_batches import EndlessBatches
from .search_schedule import Round, SearchSchedule

CRITERIA = ('accuracy', 'loss')


class SearchLoop(BaseLoop):
    """What the epoch-based and the iteration-based search share: the steps of each phase.

    A *weights* iteration steps the weights on a batch of the weights part. A *policy* iteration first steps the policy
    on a batch of the policy part and then the weights. A *selection* iteration makes one decision of the
    discretisation, and *tuning* iterations step the weights of the partly discretised network. The phase follows from
    the iteration alone; with the random state in every checkpoint, a resumed search goes on exactly.

    Args:
        runner: the runner; its ``optim_wrapper`` comes from ``mmdas.SearchOptimWrapperConstructor``.
        dataloader: of the weights part, or its config.
        selection: config of the selection.
        warmup, length: rounds of the weights phase, and of the weights and policy phases together, in the unit of the
            loop.
        policy_dataloader: of the policy part, or its config; None takes the config of the weights part's with the
            other part of its ``mmdas.HoldoutDataset``.
        criterion: what a trial of the selection is judged by: ``'accuracy'``, the first value of the loss dict whose
            name contains "acc", with ties broken by the loss; or ``'loss'``. A decode head of one channel needs
            ``'loss'``: the accuracy that MMSegmentation logs for it is the share of the background.
        val_begin, val_interval: as of MMEngine's loops.

    Raises:
        ValueError: for an unknown criterion or one that means nothing for the head, a warm-up longer than the search,
            a model without a cell, a clip of one frame, or data without a policy part.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        selection: Mapping,
        warmup: int,
        length: int,
        policy_dataloader: DataLoader | dict | None = None,
        criterion: str = 'accuracy',
        val_begin: int = 1,
        val_interval: int = 1,
    ) -> None:
        if policy_dataloader is None:
            policy_dataloader = policy_part(dataloader)
        super().__init__(runner, dataloader)
        if criterion not in CRITERIA:
            raise ValueError(f'train_cfg.criterion must be one of {CRITERIA}, got {criterion!r}')
        if not 0 <= warmup <= length:
            raise ValueError(f'the warm-up of {warmup} lies within the search of {length}')
        self.cell = find_cell(runner.model)
        if self.cell.num_frames == 1:
            raise ValueError('a clip of one frame is the image; set num_frames to 2 or more, or there is no search')
        self.criterion = criterion
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False  # MMEngine's EarlyStoppingHook sets it
        self._epoch = self._iter = 0
        runner.visualizer.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)
        if isinstance(policy_dataloader, Mapping):
            diff_rank_seed = runner.cfg.get('randomness', {}).get('diff_rank_seed', False)  # as for the other loader
            policy_dataloader = runner.build_dataloader(policy_dataloader, runner.seed, diff_rank_seed)
        self.weights_batches = EndlessBatches(self.dataloader)
        self.policy_batches = EndlessBatches(policy_dataloader)
        self.selection: BaseSelection = TASK_UTILS.build(dict(selection))
        self._check_criterion()
        self._check_chain()
        self.schedule = SearchSchedule(self._rounds(warmup, length), self.selection.num_batches)
        self._seed = runner.seed
        self._random_state = RandomStateHook()
        runner.register_hook(self._random_state)

    def _check_chain(self) -> None:
        """Refuse a search of sums of warps where the predictions of the frames are to be aligned."""
        poolings = (getattr(module, 'temporal_pooling', None) for module in unwrap(self.runner.model).modules())
        aligned = any(getattr(pooling, 'aligns', False) for pooling in poolings)
        if aligned and self.selection.edges_per_node > 1:
            raise ValueError(
                f'pooling is aligned, but the selection keeps {self.selection.edges_per_node} edges a node, so that '
                'frames of the policy would be sums of warps; set edges_per_node=1 of train_cfg.selection'
            )

    def _check_criterion(self) -> None:
        place, head = main_head(unwrap(self.runner.model))
        trials = self.criterion == 'accuracy' and self.selection.num_batches
        if trials and place == 'decode_head' and getattr(head, 'out_channels', None) == 1:
            raise ValueError(
                "train_cfg.criterion is 'accuracy', but decode_head.out_channels is 1: the accuracy logged for a head "
                "of one channel is the share of the background; set train_cfg.criterion='loss'"
            )

    @property
    def iter(self) -> int:
        """Iterations done."""
        return self._iter

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._epoch

    @property
    def max_iters(self) -> int:
        """Iterations of all phases."""
        return len(self.schedule)

    @property
    def max_epochs(self) -> int:
        """One: MMEngine takes a run that counts in iterations for a single epoch."""
        return 1

    @property
    def phase(self) -> str:
        """Phase of the current iteration."""
        return self.schedule.round_at(min(self._iter, self.max_iters - 1)).phase

    def _rounds(self, warmup: int, length: int) -> list[Round]:
        searching = 'policy' if self.selection.trains_policy else 'weights'
        rounds = self._repeat('weights', warmup) + self._repeat(searching, length - warmup)
        for decision in self.selection.decisions(self.cell):
            rounds.append(Round('selection', 1, decision))
            rounds += self._repeat('tuning', self.selection.tune)
        return rounds

    def _repeat(self, phase: str, count: int) -> list[Round]:
        """Rounds of ``count`` of the loop's units."""
        raise NotImplementedError

    def _resume(self) -> None:
        """Bring the data loaders and the random state to where a loaded checkpoint stood."""
        if self._iter == 0:
            return
        if self.runner.seed != self._seed:
            text = f'the order of the data was drawn anew; with randomness=dict(seed={self.runner.seed}) it goes on'
            print_log(text, 'current', logging.WARNING)
        weights, policy = self.schedule.batches_before(self._iter)
        print_log(
            f'Skip {weights} weights and {policy} policy batches that the search has seen', 'current', logging.INFO
        )
        self.weights_batches.skip(weights)
        self.policy_batches.skip(policy)
        self._random_state.restore()

    def _finish(self) -> nn.Module:
        """End the workers of unfinished passes and the training."""
        self.weights_batches.close()
        self.policy_batches.close()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, batch_idx: int) -> None:
        """One iteration of whatever phase it belongs to; ``batch_idx`` is its place in the epoch for the hooks."""
        entry = self.schedule.round_at(self._iter)
        self.runner.model.train()
        if entry.phase == 'selection':
            batches = [next(self.policy_batches) for _ in range(self.selection.num_batches)]
            first = batches[0] if batches else None
        else:
            batches = [next(self.policy_batches)] if entry.phase == 'policy' else []
            first = next(self.weights_batches)
        for batch in batches:
            self.runner.call_hook('before_policy_batch', data_batch=batch)
        self.runner.call_hook('before_train_iter', batch_idx=batch_idx, data_batch=first)
        if entry.phase == 'selection':
            outputs = self.selection.decide(self.cell, entry.decision, lambda: self._evaluate(batches))
        else:
            outputs = {
                f'policy_{key}': value for batch in batches for key, value in self._step('policy', batch).items()
            }
            outputs = {**self._step('weights', first), **outputs}
        self.runner.call_hook('after_train_iter', batch_idx=batch_idx, data_batch=first, outputs=outputs)
        self._iter += 1

    def _step(self, name: str, batch: dict) -> dict[str, torch.Tensor]:
        """Step one of the two optimisers, the other one's parameters held fixed."""
        other = 'weights' if name == 'policy' else 'policy'
        wrappers = self.runner.optim_wrapper
        with self._fixed(wrappers[other].optimizer):
            outputs = self.runner.model.train_step(batch, optim_wrapper=wrappers[name])
        wrappers[other].zero_grad()
        return outputs

    @contextmanager
    def _fixed(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Spare the gradients of an optimiser's parameters.

        Not under a distributed wrapper, which waits for the gradient of every parameter that it has seen; there they
        are computed and dropped.
        """
        parameters = [p for group in optimizer.param_groups for p in group['params'] if p.requires_grad]
        if is_model_wrapper(self.runner.model):
            parameters = []
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)

    @torch.no_grad()
    def _evaluate(self, batches: list[dict]) -> Score:
        """Score of the model as it stands; running statistics and random state are left alone."""
        model = unwrap(self.runner.model)
        model.eval()
        total = torch.zeros(2, device=next(model.parameters()).device)
        context = self.runner.optim_wrapper['weights'].optim_context(model)
        with _without_batch_augments(model), kept_random_state(), context:
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

    def _validate(self, done: int, last: int) -> None:
        due = done >= self.val_begin and (done % self.val_interval == 0 or done == last)
        if self.runner.val_loop is not None and due:
            with kept_random_state():  # a search resumed from here does not validate again
                self.runner.val_loop.run()


def policy_part(dataloader: DataLoader | dict) -> dict:
    """Config of a loader of the policy part, from that of the weights part.

    Raises:
        ValueError: if the weights part is not one of a holdout, so that nothing would be held out.
    """
    policy = copy.deepcopy(dict(dataloader)) if isinstance(dataloader, Mapping) else {}
    holdouts = list(_weights_parts(policy.get('dataset')))
    if not holdouts:
        raise ValueError(
            "a search holds data out: wrap the training set as dataset=dict(type='mmdas.HoldoutDataset', "
            "part='weights', dataset=dict(...)), or give train_cfg.policy_dataloader"
        )
    for holdout in holdouts:
        holdout['part'] = 'policy'
    return policy


def _weights_parts(dataset: Any) -> Iterator[dict]:
    """Configs of the holdouts in a data set's config, which may lie within wrappers such as RepeatDataset."""
    if isinstance(dataset, (list, tuple)):
        for entry in dataset:
            yield from _weights_parts(entry)
    elif isinstance(dataset, Mapping):
        if dataset.get('part') == 'weights':
            yield dataset
        else:
            yield from _weights_parts([dataset.get('dataset'), dataset.get('datasets')])


def _accuracy(values: Mapping[str, torch.Tensor], loss: torch.Tensor) -> torch.Tensor:
    """First accuracy among the logged values, 0 where the head reports none."""
    return next((value.to(loss) for key, value in values.items() if 'acc' in key), torch.zeros_like(loss))


@contextmanager
def _without_batch_augments(model: nn.Module) -> Iterator[None]:
    """Keep random mixing of images out of the trials, which have to see the same batches."""
    preprocessor = model.data_preprocessor
    augments, preprocessor.batch_augments = preprocessor.batch_augments, None
    try:
        yield
    finally:
        preprocessor.batch_augments = augments
