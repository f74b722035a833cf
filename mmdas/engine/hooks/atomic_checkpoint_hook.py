"""Checkpoints that are there whole, in plain data, with all that a resume needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdas.engine.checkpoints import (
    BACKEND,
    AtomicBackend,
    as_plain_data,
    as_written,
    hold_folder,
    release_folder,
    remove_unfinished,
    without_methods,
    write_atomically,
)
from mmdas.engine.checkpoints.newest import POINTER
from mmdas.engine.finite import check_finite
from mmdas.engine.utils import unwrap
from mmdas.registry import HOOKS

from .random_state_hook import RandomStateHook

# Parts of a checkpoint that are weights by their names.
WEIGHTS = {'state_dict', 'ema_state_dict'}
# Key of the message hub: a checkpoint that a stopped run left, which the next one replaces.
STOPPED = 'stopped_checkpoint'


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's hook, for runs that may be killed at any moment.

    * A checkpoint is written beside its place, brought to the disk and renamed; earlier ones that are too many, or
      were the best, go after that.
    * It is plain data, that PyTorch's weights-only loading takes; the log's histories come back on resume.
    * A model with a value that is not finite is not saved: the run ends.
    * No second run trains in the work directory meanwhile.

    Args:
        backend_args: as of MMEngine's hook; a place that is not on a local disk keeps its own way of writing.
        **options: as of MMEngine's hook, ``interval``, ``max_keep_ckpts``, ``save_best`` and so on.

    Raises:
        NotFiniteError: naming the first weight that is not finite.
        FolderInUseError: if another process trains in the work directory.
    """

    file_backend: Any
    gathers = True  # the random states of all processes, before each checkpoint

    def __init__(self, *args: Any, backend_args: dict | None = None, **options: Any) -> None:
        if backend_args is None and options.get('file_client_args') is None and not _is_remote(options.get('out_dir')):
            backend_args = {'backend': BACKEND}
        super().__init__(*args, backend_args=backend_args, **options)

    def before_train(self, runner: Runner) -> None:
        """Find the folder, take it, and remove what a killed run had begun to write there."""
        if is_main_process():
            hold_folder(runner.work_dir)
        super().before_train(runner)
        if is_main_process() and isinstance(self.file_backend, AtomicBackend):
            remove_unfinished(self.out_dir)

    def after_train(self, runner: Runner) -> None:
        """Let the folder go."""
        super().after_train(runner)
        if is_main_process():
            release_folder(runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the weights, and make the content plain."""
        learned = {name for name, _ in unwrap(runner.model).named_parameters()}
        for key in WEIGHTS & set(checkpoint):
            weights = {name: value for name, value in checkpoint[key].items() if is_learned(name, learned)}
            check_finite(weights, 'the checkpoint is not written, the one before is the last good one')
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = without_methods(checkpoint['param_schedulers'])
        for key in set(checkpoint) - WEIGHTS:
            checkpoint[key] = as_plain_data(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make histories of the log of their plain form."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = as_written(checkpoint['message_hub'])

    def save_stopped(self, runner: Runner, step: int) -> str:
        """Save for a run that is about to end; the next checkpoint of its resumption replaces it.

        Args:
            runner: in training.
            step: iterations done.

        Returns:
            The path.
        """
        epoch = runner.epoch
        name = f'epoch_{epoch}_iter_{step}.pth' if self.by_epoch else self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        if not self.by_epoch:
            if self.last_ckpt != path:
                self._save_checkpoint_with_step(runner, step, {'epoch': epoch, 'iter': step})
            return path
        runner.message_hub.update_info(STOPPED, path)
        self._gather(runner)
        meta = {'epoch': epoch, 'iter': step}
        runner.save_checkpoint(self.out_dir, name, meta=meta, by_epoch=False, backend_args=self.backend_args)
        if is_main_process():
            write_atomically(Path(runner.work_dir, POINTER), path.encode())
        return path

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._gather(runner)
        stopped = runner.message_hub.runtime_info.get(STOPPED)
        runner.message_hub.update_info(STOPPED, None)
        with self._removing_last():
            super()._save_checkpoint_with_step(runner, step, meta)
        if stopped is not None and is_main_process() and self.file_backend.isfile(stopped):
            self.file_backend.remove(stopped)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        self._gather(runner)
        with self._removing_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Remove files after what is done meanwhile, and not at all if that fails."""
        backend: Any = self.file_backend
        late = self.file_backend = _LateRemoval(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        for remove, path in late.removals:
            remove(path)

    @staticmethod
    def _gather(runner: Runner) -> None:
        """Ask all processes for their random states; the main process alone saves and cannot ask then."""
        for hook in runner.hooks:
            if isinstance(hook, RandomStateHook):
                hook.gather()


def is_learned(name: str, parameters: set[str]) -> bool:
    """Whether an entry of a state is a parameter or a statistic; other buffers may be infinite, as masks are."""
    return name.removeprefix('module.') in parameters or name.endswith(('.running_mean', '.running_var'))


class _LateRemoval:
    """A file backend that remembers what it is to remove."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.removals: list[tuple[Any, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.removals.append((self.backend.remove, path))

    def rmtree(self, path: str) -> None:
        self.removals.append((self.backend.rmtree, path))


def _is_remote(folder: str | None) -> bool:
    return folder is not None and '://' in str(folder)
