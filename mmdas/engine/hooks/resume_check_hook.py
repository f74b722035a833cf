"""Resume only what the config's own model has written."""

import re
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdas.engine.utils import unwrap
from mmdas.models.settings import Recorded, holds_record
from mmdas.registry import HOOKS


@HOOKS.register_module()
class ResumeCheckHook(Hook):
    """Refuse to resume a model with frames from a checkpoint of a plain model, and the other way round.

    After the checkpoint is read and before its weights are loaded. Two models with frames compare their settings
    themselves, see :class:`mmdas.models.settings.Recorded`.

    Raises:
        ValueError: naming the config and what the checkpoint says of its own.
    """

    priority = 'VERY_HIGH'  # before EMAHook, which loads its weights at the same time

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the kinds of the two models."""
        if not runner.cfg.get('resume'):
            return
        expected, found = has_frames(unwrap(runner.model)), trained_on_frames(checkpoint)
        if expected != found:
            kinds = {True: 'a model with frames', False: 'a plain model'}
            origin = (checkpoint.get('meta') or {}).get('experiment_name', 'of unknown name')
            raise ValueError(
                f'cannot resume {runner.cfg.filename or runner.experiment_name}, {kinds[expected]}, from '
                f'{runner.cfg.get("load_from") or runner.work_dir}, a checkpoint of {kinds[found]} (run {origin}); '
                'resume it with its own config, give another --work-dir, or start from its weights by '
                '--cfg-options load_from=CHECKPOINT without --resume'
            )


def has_frames(model: nn.Module) -> bool:
    """Whether a part of a model writes its settings into checkpoints."""
    return any(isinstance(module, Recorded) and (module.num_frames or 1) > 1 for module in model.modules())


def trained_on_frames(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint is of a model with frames: by its record, or its config before there were records."""
    if holds_record(checkpoint.get('state_dict', checkpoint)):
        return True
    text = str((checkpoint.get('meta') or {}).get('cfg', ''))
    frames = [int(number) for number in re.findall(r"'?\bnum_frames'?\s*[=:]\s*(\d+)", text)]
    return re.search(r'\bDAS(Seg|Cls)DataPre', text) is not None and max(frames, default=1) > 1
