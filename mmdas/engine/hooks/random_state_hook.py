"""Random state in checkpoints, which MMEngine leaves out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner


class RandomStateHook(Hook):
    """Save the random state of every process with each checkpoint and hand it back on resume.

    A loop registers it and calls :meth:`restore` itself: the state has to come back after the data loaders
    have been brought to their places and before they load the next batch, and no hook stands between the two. The
    states are plain lists and tensors, so weights-only loading takes them.
    """

    priority = 'LOW'  # before CheckpointHook

    def __init__(self) -> None:
        self._gathered: list[dict] = []
        self._loaded: list[dict] | None = None
        self._kept: dict | None = None

    def gather(self) -> None:
        """Ask all processes for their states; the main process alone will save and cannot ask for them then."""
        if is_distributed():
            self._gathered = all_gather_object(self._state())

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Gather after each iteration where the hook of the checkpoints does not ask for it before it saves."""
        if is_distributed() and not any(getattr(hook, 'gathers', False) for hook in runner.hooks):
            self.gather()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states of all processes."""
        checkpoint['random_states'] = self._gathered if is_distributed() else [self._state()]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the states until :meth:`restore`."""
        self._loaded = checkpoint.get('random_states')

    def restore(self) -> None:
        """Set this process to the state of the loaded checkpoint, if it had one."""
        if self._loaded is not None and get_rank() < len(self._loaded):
            set_random_state(self._loaded[get_rank()])

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give the random state back at the end, as :func:`kept_random_state`; checkpoints of meanwhile hold it."""
        self._kept = random_state()
        try:
            yield
        finally:
            set_random_state(self._kept)
            self._kept = None

    def _state(self) -> dict:
        """What the training of this process goes on with."""
        return random_state() if self._kept is None else self._kept


def random_state() -> dict:
    """States of torch's, CUDA's, numpy's and Python's generators as plain values."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_available() else None,  # of this process's device
        'numpy': [name, np.asarray(keys).tolist(), position, has_gauss, cached],
        'python': [version, list(internal), gauss],
    }


def set_random_state(state: dict) -> None:
    """Inverse of :func:`random_state`."""
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())
    np.random.set_state(tuple(state['numpy']))
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Give the random state back at the end, whatever was drawn in between."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
