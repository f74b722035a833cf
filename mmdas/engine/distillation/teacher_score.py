"""The score of a teacher on the validation set of its student, once a run."""

import json
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.runner import Runner

from mmdas.engine.checkpoints import write_atomically
from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.models.distillation import Teacher

FILE = 'teacher_score.json'
PREFIX = 'teacher/'


class TeacherScore:
    """Metrics of a teacher, computed at the first validation and kept in the work directory for a resumed run.

    Args:
        key: of the teacher and its views; a kept score of another key is computed anew.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._metrics: dict[str, Any] | None = None

    def __call__(self, runner: Runner, teacher: Teacher) -> dict[str, Any]:
        """The metrics, with ``teacher/`` before their names.

        Args:
            runner: with a validation.
            teacher: whose model is tested, one view an image.
        """
        if self._metrics is None:
            self._metrics = self._read(Path(runner.work_dir, FILE))
        if self._metrics is None:
            with kept_random_state():
                self._metrics = evaluate(runner, teacher.model)
            if is_main_process():
                text = json.dumps({'teacher': self.key, 'metrics': self._metrics}, indent=2)
                write_atomically(Path(runner.work_dir, FILE), text.encode())
        return {f'{PREFIX}{name}': value for name, value in self._metrics.items()}

    def _read(self, path: Path) -> dict[str, Any] | None:
        """What the first process finds, so that all of them compute, or none."""
        found: list[Any] = [None]
        if is_main_process() and path.is_file():
            try:
                content = json.loads(path.read_text())
                found = [content['metrics'] if content['teacher'] == self.key else None]
            except (ValueError, KeyError, TypeError):  # cut off or edited: it is computed anew
                found = [None]
        broadcast_object_list(found)
        return found[0]


@torch.no_grad()
def evaluate(runner: Runner, model: Any) -> dict[str, Any]:
    """Metrics of a model on the validation set of a run, as plain numbers."""
    loop: Any = runner.val_loop
    for batch in loop.dataloader:
        loop.evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
    metrics = loop.evaluator.evaluate(len(loop.dataloader.dataset))
    return {name: float(value) for name, value in metrics.items() if isinstance(value, Real)}
