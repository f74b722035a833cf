"""What a whole search costs, from a few timed iterations of each of its phases."""

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import benchmarks.synthetic_images  # noqa: F401  registers the data set
from benchmarks.harness import Timing
from benchmarks.search_hosts import unwrapped
from mmdas.apis.runner import build_runner
from mmdas.engine.runner.search_loop import SearchLoop
from mmdas.engine.runner.search_schedule import SearchSchedule

TRIAL = 'selection'  # one trial on one batch, of which a decision has many
# What an iteration of the policy phase does that does not step the policy.
ALONE = {'policy': 'weights'}
LOADING = ('LoadImageFromFile', 'LoadAnnotations')


@dataclass(frozen=True)
class DataSize:
    """Samples of a training set and height and width of its images."""

    count: int
    size: tuple[int, int]


@dataclass(frozen=True)
class PhaseCost:
    """What a phase takes: ``count`` times ``seconds``."""

    phase: str
    count: int
    seconds: float

    @property
    def hours(self) -> float:
        """Of the whole phase."""
        return self.count * self.seconds / 3600


def phase_counts(schedule: SearchSchedule) -> dict[str, int]:
    """Iterations of every phase that a search has; of the selection, trials times batches of a trial."""
    counts = Counter()
    for entry in schedule.rounds:
        if entry.decision is None:
            counts[ALONE.get(entry.phase, entry.phase)] += entry.length
        else:
            counts[TRIAL] += entry.decision.trials * schedule.batches_per_decision
    counts['policy'] = schedule.policy_steps()
    counts['weights'] -= counts['policy']
    return {phase: count for phase, count in counts.items() if count}


def phase_costs(counts: Mapping[str, int], timings: Mapping[str, Timing], scale: float = 1.0) -> list[PhaseCost]:
    """Cost of every phase.

    Args:
        counts: phase -> how often, see :func:`phase_counts`.
        timings: phase -> seconds of some of its iterations.
        scale: what the seconds are multiplied by: how many times as many images an iteration of the search has.
            Default: 1.
    """
    return [PhaseCost(phase, count, scale * timings[phase].median) for phase, count in counts.items()]


def total_hours(costs: list[PhaseCost]) -> float:
    """Hours of the search."""
    return math.fsum(cost.hours for cost in costs)


def without_files(cfg: Config, data: DataSize, batch: int) -> Config:
    """A search config on noise in place of files, in one process, that logs warnings only and saves nothing.

    Args:
        cfg: of the search, with its data set in a holdout.
        data: size of the real data set.
        batch: images of a batch.
    """
    cfg = Config(cfg.to_dict())
    head = unwrapped(cfg.model.get('decode_head') or cfg.model.head)
    loader = cfg.train_dataloader
    pipeline = [step for step in loader.dataset.dataset.pipeline if step['type'] not in LOADING]
    classes = [f'class {number}' for number in range(head.num_classes)]
    loader.dataset.dataset = dict(
        type='SyntheticImages', count=data.count, size=data.size, classes=classes, pipeline=pipeline
    )
    loader.update(batch_size=batch, num_workers=0, persistent_workers=False)
    cfg.merge_from_dict({'log_level': 'WARNING', 'default_hooks.checkpoint': None})
    # The config's has a fixed name, by which the next runner would get this one's, with its folder.
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    for part in ('val', 'test'):
        cfg.update({f'{part}_{name}': None for name in ('cfg', 'dataloader', 'evaluator')})
    return cfg


@contextmanager
def ready_search(cfg: Config) -> Iterator[Runner]:
    """A runner that is about to start its search, with a work directory for the meantime."""
    with tempfile.TemporaryDirectory() as folder, DefaultScope.overwrite_default_scope(cfg.default_scope):
        cfg.work_dir = folder
        cfg.experiment_name = f'cost-{folder.rpartition("/")[2]}'  # equal names would share their message hub
        runner = build_runner(cfg)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.param_schedulers = None  # the iterations jump from phase to phase; learning rates stay as at the start
        runner.model.init_weights()
        runner.train_loop  # noqa: B018  built on its first use
        runner.call_hook('before_run')
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        yield runner


def phase_steps(loop: SearchLoop) -> dict[str, Callable[[], object]]:
    """Phase -> function that does one of its iterations, with data loading and hooks, or one trial on one batch."""
    batch = next(loop.policy_batches)
    steps = {TRIAL: lambda: loop.trials.score([batch])}
    schedule = loop.schedule
    for index, entry in enumerate(schedule.rounds):
        start = schedule.end_of_round(index) - entry.length
        for iteration in range(start, start + min(entry.length, schedule.policy_interval)):
            phase = entry.phase if schedule.steps_policy(iteration) else ALONE.get(entry.phase, entry.phase)
            if entry.decision is None:
                steps.setdefault(phase, _iteration(loop, iteration))
    return {phase: steps[phase] for phase in phase_counts(schedule)}


def _iteration(loop: SearchLoop, start: int) -> Callable[[], None]:
    """The iteration ``start`` again and again."""

    def step() -> None:
        loop._iter = start
        loop.run_iter(0)

    return step
