"""The score of a teacher on the validation set of its student, once a run."""

import json
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.runner import Runner

from mmdas.engine.checkpoints import write_atomically
from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.models.distillation import Teacher

from .checksum import checksum

FILE = 'teacher_score.json'


class TeacherScore:
    """Metrics of the teachers, computed at the first validation and kept in the work directory for a resumed run.

    Args:
        key: of the teachers; a kept score of another key, or of another validation, is computed anew.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._metrics: dict[str, Any] | None = None

    def __call__(self, runner: Runner, teachers: Sequence[Teacher]) -> dict[str, Any]:
        """The metrics, with ``teacher/`` before their names, or ``teacher1/`` and so on.

        Args:
            runner: with a validation.
            teachers: whose models are tested, one view an image.
        """
        key = f'{self.key} {validation_of(runner)}'
        if self._metrics is None:
            self._metrics = self._read(Path(runner.work_dir, FILE), key)
        if self._metrics is None:
            with kept_random_state():
                self._metrics = {
                    f'{number}/{name}' if len(teachers) > 1 else name: value
                    for number, teacher in enumerate(teachers, start=1)
                    for name, value in evaluate(runner, teacher.model).items()
                }
            if is_main_process():
                text = json.dumps({'teacher': key, 'metrics': self._metrics}, indent=2)
                write_atomically(Path(runner.work_dir, FILE), text.encode())
        before = 'teacher' if len(teachers) > 1 else 'teacher/'
        return {f'{before}{name}': value for name, value in self._metrics.items()}

    def _read(self, path: Path, key: str) -> dict[str, Any] | None:
        """What the first process finds, so that all of them compute, or none."""
        found: list[Any] = [None]
        if is_main_process() and path.is_file():
            try:
                content = json.loads(path.read_text())
                found = [content['metrics'] if content['teacher'] == key else None]
            except (ValueError, KeyError, TypeError):  # cut off or edited: it is computed anew
                found = [None]
        broadcast_object_list(found)
        return found[0]


def validation_of(runner: Runner) -> str:
    """Digits that tell the images and metrics of a validation from others."""
    loop: Any = runner.val_loop
    parts = len(loop.dataloader.dataset), runner.cfg.get('val_dataloader', {}).get('dataset'), runner.cfg.val_evaluator
    return f'{checksum(parts):08x}'


@torch.no_grad()
def evaluate(runner: Runner, model: Any) -> dict[str, Any]:
    """Metrics of a model on the validation set of a run, as plain numbers."""
    loop: Any = runner.val_loop
    for batch in loop.dataloader:
        loop.evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
    metrics = loop.evaluator.evaluate(len(loop.dataloader.dataset))
    return {name: float(value) for name, value in metrics.items() if isinstance(value, Real)}
