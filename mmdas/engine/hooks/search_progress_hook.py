"""Progress and cost of a search."""

import time
from datetime import timedelta

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.registry import HOOKS


@HOOKS.register_module()
class SearchProgressHook(Hook):
    """Log the phase, estimate the time left and add up what the search costs.

    MMEngine extrapolates the mean time of the iterations so far, but iterations of the phases differ in their work by
    more than ten times; the estimate here goes by the passes of the network that each phase needs. The cost is kept in
    the message hub and so in every checkpoint: a resumed search goes on counting.
    """

    priority = 55  # after IterTimerHook, which writes its own estimate, and before LoggerHook, which reads it

    def before_train(self, runner: Runner) -> None:
        """Reset the clocks, which start with the first iteration: a resumed search first looks for its place."""
        self._wall: float | None = None
        self._start_passes = runner.train_loop.schedule.passes_before(runner.iter)
        self._elapsed = 0.0
        self._phase: str | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Tell when a phase begins."""
        if self._wall is None:
            self._wall, self._cpu = time.perf_counter(), time.process_time()
        phase = runner.train_loop.phase
        if phase != self._phase and {phase, self._phase} != {'selection', 'tuning'}:
            runner.logger.info(f'Search phase: {phase}')
        self._phase = phase

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Update cost and estimate."""
        wall, cpu = time.perf_counter(), time.process_time()
        started = wall if self._wall is None else self._wall
        self._elapsed += wall - started
        gpus = runner.world_size if torch.cuda.is_available() else 0
        spent = {'wall': wall - started, 'cpu': cpu - self._cpu, 'gpu': gpus * (wall - started)}
        for name, seconds in spent.items():
            total = runner.message_hub.runtime_info.get(f'search_{name}_seconds', 0.0) + seconds
            runner.message_hub.update_info(f'search_{name}_seconds', total)
        self._wall, self._cpu = wall, cpu
        schedule = runner.train_loop.schedule
        done = schedule.passes_before(runner.iter + 1) - self._start_passes
        left = schedule.passes_before(len(schedule)) - schedule.passes_before(runner.iter + 1)
        eta = self._elapsed / done * left
        runner.message_hub.update_info('eta', eta)
        if self._phase == 'selection':
            self._log_decision(runner, eta)

    def _log_decision(self, runner: Runner, eta: float) -> None:
        """Tell of every decision: one takes long, and LoggerHook's interval may pass over it."""
        schedule = runner.train_loop.schedule
        decisions = [entry.decision for entry in schedule.rounds if entry.decision is not None]
        number = decisions.index(schedule.round_at(runner.iter).decision) + 1
        left = timedelta(seconds=round(eta))
        runner.logger.info(f'Selection: decision {number} of {len(decisions)} is made, about {left} left')


def search_cost(runner: Runner) -> dict[str, float]:
    """Seconds of the search so far.

    Returns:
        ``wall_seconds``; ``cpu_seconds`` of the main process over all its threads, without loader workers and without
        other processes of a distributed search; ``gpu_seconds``, wall seconds times the number of GPUs.
    """
    info = runner.message_hub.runtime_info
    return {f'{name}_seconds': round(info.get(f'search_{name}_seconds', 0.0), 3) for name in ('wall', 'cpu', 'gpu')}
