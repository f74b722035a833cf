"""Runs that are told to stop save what they have."""

import os
import signal
import threading
from typing import Any

import torch
from mmengine.dist import all_reduce, is_distributed
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mmdas.registry import HOOKS

from .atomic_checkpoint_hook import AtomicCheckpointHook

# EX_TEMPFAIL of sysexits.h: a temporary failure, try again.
REQUEUE = 75
INTERRUPTED = 130
# What schedulers send before they kill a job, where the system has it.
SIGNALS = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGUSR1', 'SIGINT') if hasattr(signal, name))
# Whether this process is in a training, and listens.
_listening = False


def _heed_the_parent_alone() -> None:
    """Let a worker of a data loader end when its parent says so: schedulers send a signal to all processes of a job."""
    if _listening:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)


if hasattr(os, 'register_at_fork') and hasattr(signal, 'sigwaitinfo'):  # on Linux
    os.register_at_fork(after_in_child=_heed_the_parent_alone)


class RunStopped(SystemExit):
    """A run that was told to stop and has saved a checkpoint; ``code`` is its exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.exit_code = code
        self.text = text


@HOOKS.register_module()
class StopSignalHook(Hook):
    """Save a checkpoint and end at SIGTERM, SIGUSR1 (preemption) and SIGINT (Ctrl-C).

    After the iteration that is under way, and after the other hooks. Workers that are forked go on until then, even if
    they get the signal, too (on Linux). A validation is left, and takes place in the run
    that goes on. A second Ctrl-C ends the run at once. Needs :class:`AtomicCheckpointHook` as
    ``default_hooks.checkpoint``. A run without it ends as always.

    Args:
        interval: iterations, of the training or of a validation, after which the processes of a distributed run tell
            each other of a signal.

    Raises:
        RunStopped: with the exit code 75 (temporary failure: schedulers can be told to start such a job again), or 130
            after Ctrl-C.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'StopSignalHook.interval must be at least 1, got {interval}')
        self.interval = interval
        self.received = 0
        self._before: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Listen, in the main thread, which alone may."""
        if threading.current_thread() is threading.main_thread() and _checkpoints(runner) is not None:
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
            _listen(True)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Stop if this or another process was told to."""
        stop = self._told(self.every_n_train_iters(runner, self.interval))
        if stop:
            self._stop(runner, stop, runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """The same in a validation of the training, which gives its place in the run back."""
        if not self._before:  # of a run that only validates
            return
        stop = self._told(self.every_n_inner_iters(batch_idx, self.interval))
        if not stop:
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_val_epoch(runner)  # the weights of the training, not their average
        getattr(runner.train_loop, 'abandon_validation', lambda: None)()
        self._stop(runner, stop, runner.iter)

    def _told(self, asks: bool) -> int:
        """The signal that this process has received, or another one where they ask each other; 0 for none."""
        if not is_distributed():
            return self.received
        if not asks:
            return 0
        told = torch.tensor(self.received)
        all_reduce(told, 'max')
        return int(told)

    def _stop(self, runner: Runner, stop: int, iterations: int) -> None:
        checkpoints = _checkpoints(runner)
        if checkpoints is None:
            return
        path = checkpoints.save_stopped(runner, iterations)
        self._leave()
        text = f'stopped by {signal.Signals(stop).name} after iteration {iterations}; saved {path}'
        runner.logger.warning(f'{text}; --resume goes on from it')
        raise RunStopped(INTERRUPTED if stop == signal.SIGINT else REQUEUE, text)

    def after_train(self, runner: Runner) -> None:
        """Listen no more."""
        self._leave()

    def _receive(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number

    def _leave(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        _listen(False)


def _listen(listening: bool) -> None:
    global _listening
    _listening = listening


def _checkpoints(runner: Runner) -> AtomicCheckpointHook | None:
    return next((hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook)), None)
