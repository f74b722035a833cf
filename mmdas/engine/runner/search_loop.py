"""The course of a search: batches, phases, decisions, hooks, validation and resumption."""

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from difflib import get_close_matches
from inspect import signature
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdas.engine.finite import check_finite
from mmdas.engine.hooks.early_stopping_state_hook import EarlyStoppingStateHook
from mmdas.engine.hooks.end_workers_hook import EndWorkersHook
from mmdas.engine.hooks.random_state_hook import RandomStateHook
from mmdas.engine.hooks.run_record_hook import RunRecordHook
from mmdas.engine.hooks.settling_hook import SettlingHook
from mmdas.engine.hooks.step_state_hook import StepStateHook
from mmdas.engine.image_steps import check_image_steps, on_image
from mmdas.engine.search_error import SearchError
from mmdas.engine.selection import Trials
from mmdas.engine.steps import SearchStep
from mmdas.engine.utils import find_searchable, unwrap
from mmdas.registry import TASK_UTILS

from .endless_batches import EndlessBatches
from .search_schedule import Round, SearchSchedule
from .validation import Validating


class SearchLoop(Validating, BaseLoop):
    """What the epoch-based and the iteration-based search share: the course of the phases.

    A *weights* iteration steps the weights on a batch of the weights part, an *image* iteration likewise, but on the
    image alone. A *policy* iteration steps policy and weights on a batch of each part. A *selection* iteration makes
    one decision of the discretisation, and *tuning* iterations step the weights of the partly discretised network. What
    a step does is the search step's matter. The phase follows from the iteration alone, and from where the policy
    settled; with both and the random state in every checkpoint, a resumed search goes on exactly.

    Args:
        runner: the runner; its ``optim_wrapper`` comes from ``mmdas.SearchOptimWrapperConstructor``.
        dataloader: of the weights part, or its config.
        warmup, length: rounds of the weights phase, and of the weights and policy phases together, in the unit of the
            loop.
        selection: config of the selection. None, for methods that need no decision: the policy is what the last
            iteration leaves.
        step: config of the :class:`mmdas.engine.SearchStep`. Default: ``dict(type='mmdas.AlternatingStep')``.
        policy_dataloader: of the policy part, or its config; None takes the config of the weights part's with the
            other part of its ``mmdas.HoldoutDataset``.
        policy_interval: K >= 1. In the policy phase every K-th iteration steps the policy; the others step the weights
            alone. A policy step costs about as much as one of the weights. Default: 1.
        image: so many rounds of the warm-up, its first, train on the image alone, which costs about 1/T. Backbone and
            heads need ``any_frames=True``. Default: 0.
        patience: end the policy phase early, once so many steps of the policy have not changed what the largest
            mixture weights would decide; a search in epochs ends the epoch. Default: None, never.
        criterion: what a trial of the selection is judged by: ``'accuracy'``, the first value of the loss dict whose
            name contains "acc", with ties broken by the loss; or ``'loss'``. A decode head of one channel needs
            ``'loss'``: the accuracy that MMSegmentation logs for it is the share of the background.
        val_begin, val_interval: as of MMEngine's loops.

    Raises:
        SearchError: for an unknown criterion or one that means nothing for the head, a warm-up longer than the search,
            a policy interval that leaves no step of the policy, a patience without decisions to wait for, a model with
            nothing to search or nothing that the selection decides, or data without a policy part.
    """

    image_name: str  # of the setting ``image`` in the loop's unit

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        warmup: int,
        length: int,
        selection: Mapping | None = None,
        step: Mapping | None = None,
        policy_dataloader: DataLoader | dict | None = None,
        policy_interval: int = 1,
        image: int = 0,
        patience: int | None = None,
        criterion: str = 'accuracy',
        val_begin: int = 1,
        val_interval: int = 1,
    ) -> None:
        if policy_dataloader is None:
            policy_dataloader = policy_part(dataloader)
        super().__init__(runner, dataloader)
        if not 0 <= warmup <= length:
            raise SearchError(
                f'train_cfg has a warm-up of {warmup} in a search of {length}: it must lie within it; lower '
                'train_cfg.warmup_iters (warmup_epochs), or make the search longer'
            )
        self.searchable: Any = find_searchable(runner.model)
        self.searchable.check_search(selection is not None)
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False  # MMEngine's EarlyStoppingHook sets it
        self._epoch = self._iter = 0
        runner.visualizer.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)
        if isinstance(policy_dataloader, Mapping):
            diff_rank_seed = runner.cfg.get('randomness', {}).get('diff_rank_seed', False)  # as for the other loader
            policy_dataloader = runner.build_dataloader(policy_dataloader, runner.seed, diff_rank_seed)
        self.weights_batches = EndlessBatches(self.dataloader)
        self.policy_batches = EndlessBatches(policy_dataloader)
        # MMEngine builds the optimisers after the loop, and finds them built.
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        built = dict(model=runner.model, optim_wrapper=runner.optim_wrapper)
        self.step: SearchStep = TASK_UTILS.build({'type': 'mmdas.AlternatingStep', **(step or {}), **built})
        self.selection: Any = TASK_UTILS.build(dict(selection)) if selection is not None else None
        num_batches = 0
        if self.selection is not None:
            self.selection.check_searchable(self.searchable)
            self.selection.check_model(unwrap(runner.model))
            num_batches = self.selection.num_batches
        self.trials = Trials(runner.model, runner.optim_wrapper['weights'], criterion, num_batches)
        self.warmup, self.length = warmup, length
        self.policy_interval = policy_interval
        check_image_steps(runner.model, self.image_name, image, warmup)
        self._check_economy(patience)
        # As it is without patience; the schedule may become shorter than that.
        self.plan = self.schedule = self.make_plan(warmup, image)
        self._check_policy_steps()
        self._seed = runner.seed
        self._settling = SettlingHook(patience, getattr(self.selection, 'edges_per_node', 2))
        self._random_state, self._step_state = RandomStateHook(), StepStateHook(self.step)
        self._record = RunRecordHook(self)
        end_workers = EndWorkersHook(self.weights_batches.dataloader, self.policy_batches.dataloader)
        stopping = EarlyStoppingStateHook()
        for hook in (self._random_state, self._step_state, self._record, self._settling, stopping, end_workers):
            runner.register_hook(hook)

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

    def make_plan(self, warmup: int, image: int = 0) -> SearchSchedule:
        """The schedule with another warm-up.

        Args:
            warmup, image: see the class.
        """
        num_batches = 0 if self.selection is None else self.selection.num_batches
        frames = getattr(self.searchable, 'num_frames', 1)
        rounds = self._rounds(warmup, image)
        return SearchSchedule(rounds, num_batches, self.step.passes, self.policy_interval, frames)

    def _rounds(self, warmup: int, image: int) -> list[Round]:
        selection = self.selection
        warming = self._repeat('image', image) + self._repeat('weights', warmup - image)
        if selection is None:
            return warming + self._repeat('policy', self.length - warmup)
        searching = 'policy' if selection.trains_policy else 'weights'
        rounds = warming + self._repeat(searching, self.length - warmup)
        for decision in selection.decisions(self.searchable):
            rounds.append(Round('selection', 1, decision))
            rounds += self._repeat('tuning', selection.tune)
        return rounds

    @classmethod
    def check_words(cls, options: Mapping[str, Any]) -> None:
        """Check that all settings in ``train_cfg`` are known.

        Raises:
            SearchError: for another, with the nearest that there is.
        """
        inner = {'runner', 'dataloader', 'options', 'warmup', 'length', 'image'}
        known = {word for kind in (cls, SearchLoop) for word in signature(kind).parameters} - inner
        for word, value in options.items():
            if word not in known:
                close = ''.join(f'; did you mean {found}?' for found in get_close_matches(word, sorted(known), n=1))
                raise SearchError(f'train_cfg.{word}={value!r} is no setting of {cls.__name__}{close}')

    def _check_policy_steps(self) -> None:
        """Raise a SearchError if the policy would take no step."""
        if self.plan.has_policy_phase and self.plan.policy_steps() == 0:
            raise SearchError(
                f'train_cfg.policy_interval is {self.policy_interval}, which leaves no step of the policy in a search '
                f'of {len(self.plan)} iterations; lower it, or make the search longer'
            )

    def _check_economy(self, patience: int | None) -> None:
        """Raise a SearchError for an interval or a patience that means nothing."""
        interval = self.policy_interval
        if type(interval) is not int or interval < 1:
            raise SearchError(f'train_cfg.policy_interval must be a whole number of at least 1, got {interval!r}')
        if patience is not None and (type(patience) is not int or patience < 1):
            raise SearchError(f'train_cfg.patience must be a whole number of at least 1 or None, got {patience!r}')
        if patience is not None and not hasattr(self.selection, 'edges_per_node'):
            raise SearchError(
                f'train_cfg.patience is {patience}, which waits for the decisions of a selection to settle, but this '
                'search has none; leave it out'
            )

    def _repeat(self, phase: str, count: int) -> list[Round]:
        """Rounds of ``count`` of the loop's units."""
        raise NotImplementedError

    def _resume(self) -> None:
        """Bring the data loaders, the search step and the random state to where a loaded checkpoint stood."""
        if self._iter == 0:
            return
        if self.runner.seed != self._seed:
            text = f'the order of the data was drawn anew; with randomness=dict(seed={self.runner.seed}) it goes on'
            print_log(text, 'current', logging.WARNING)
        self._settling.restore()
        if self._settling.ended_at is not None:
            self.schedule = self.plan.without_policy_phase_after(self._settling.ended_at)
        weights, policy = self.schedule.batches_before(self._iter)
        print_log(
            f'Skip {weights} weights and {policy} policy batches that the search has seen', 'current', logging.INFO
        )
        self.weights_batches.skip(weights)
        self.policy_batches.skip(policy)
        self._step_state.restore()
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
            first: Any = batches[0] if batches else None
        else:
            batches = [next(self.policy_batches)] if self.schedule.steps_policy(self._iter) else []
            first = next(self.weights_batches)
        for batch in batches:
            self.runner.call_hook('before_policy_batch', data_batch=batch)
        self.runner.call_hook('before_train_iter', batch_idx=batch_idx, data_batch=first)
        if entry.phase == 'selection':
            self.check_policy()
            outputs = self.selection.decide(self.searchable, entry.decision, lambda: self.trials.score(batches))
        elif batches:
            outputs = self.step.search(batches[0], first)
            self._end_if_settled()
        else:
            with on_image(self.runner.model) if entry.phase == 'image' else nullcontext():
                outputs = self.step.train(first)
        self.searchable.note_progress((self._iter + 1) / self.max_iters)  # before a checkpoint is written
        self.runner.call_hook('after_train_iter', batch_idx=batch_idx, data_batch=first, outputs=outputs)
        self._iter += 1

    def _end_if_settled(self) -> None:
        """End the policy phase with this iteration, or its epoch, once what would be decided has settled."""
        if self._settling.ended_at is None and self._settling.has_settled(self.searchable):
            end = self._end_of_unit(self._iter)
            self._settling.ended_at = end
            self.schedule = self.plan.without_policy_phase_after(end)
            if len(self.schedule) < len(self.plan):
                text = f'{self._settling.patience} steps of the policy have not changed what the search would decide'
                print_log(f'{text}: the policy phase ends after iteration {end}', 'current', logging.INFO)

    def _end_of_unit(self, iteration: int) -> int:
        """Iterations that are done at the end of the loop's unit to which an iteration belongs."""
        raise NotImplementedError

    def check_policy(self) -> None:
        """Check that what is searched is finite.

        Raises:
            NotFiniteError: naming the parameter.
        """
        check_finite(dict(self.searchable.named_parameters()), 'there is no policy to be had from it')


def policy_part(dataloader: Any) -> dict:
    """Config of a loader of the policy part, from that of the weights part.

    Raises:
        SearchError: if the weights part is not one of a holdout, so that nothing would be held out.
    """
    policy = copy.deepcopy(dict(dataloader)) if isinstance(dataloader, Mapping) else {}
    holdouts = list(_weights_parts(policy.get('dataset')))
    if not holdouts:
        raise SearchError(
            "a search holds data out: wrap the training set as dataset=dict(type='mmdas.HoldoutDataset', "
            "part='weights', dataset=dict(...)), or give train_cfg.policy_dataloader"
        )
    for holdout in holdouts:
        holdout['part'] = 'policy'
    return policy


def _weights_parts(dataset: Any) -> Iterator[Any]:
    """Configs of the holdouts in a data set's config, which may lie within wrappers such as RepeatDataset."""
    if isinstance(dataset, (list, tuple)):
        for entry in dataset:
            yield from _weights_parts(entry)
    elif isinstance(dataset, Mapping):
        if dataset.get('part') == 'weights':
            yield dataset
        else:
            yield from _weights_parts([dataset.get('dataset'), dataset.get('datasets')])
