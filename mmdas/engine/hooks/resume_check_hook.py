"""Resume only what the config's own model has written."""

import re
from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn

from mmdas.engine.checkpoints.own_weights import require_weights
from mmdas.engine.utils import unwrap
from mmdas.models.settings import KEY, DifferenceError, Recorded, decode, describe, differences, holds_record
from mmdas.registry import HOOKS

# Key of a checkpoint: of the teacher that its model learns from.
TEACHER = 'distillation'


@HOOKS.register_module()
class ResumeCheckHook(Hook):
    """Refuse a checkpoint of a model with frames for a plain model; for a resume, the other way round, too.

    After the checkpoint is read and before its weights are loaded. Two models with frames compare their settings
    themselves, see :class:`mmdas.models.settings.Recorded`.

    A test also refuses a checkpoint that lacks weights of its model.

    Args:
        accept_difference: whether a plain model may start from a model with frames, and a test from weights that do not
            all fit. Default: False.

    Raises:
        DifferenceError: naming the config and what the checkpoint says of its own.
    """

    priority = 'VERY_HIGH'  # before EMAHook, which loads its weights at the same time

    def __init__(self, accept_difference: bool = False) -> None:
        self.accept_difference = accept_difference

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the kinds of the two models, and leave the earlier config out, which MMEngine would run."""
        (checkpoint.get('meta') or {}).pop('config', None)
        expected, found = has_frames(unwrap(runner.model)), trained_on_frames(checkpoint)
        source = runner.cfg.get('load_from') or runner.work_dir
        if runner.cfg.get('resume') and TEACHER in checkpoint and not learns_from_teacher(runner):
            raise DifferenceError(
                f'cannot resume from {source}: its model learned from a teacher, and this run has none; resume it by '
                'the mmdas distill or the --self-distill of its training, or start from its weights by --cfg-options '
                'load_from=CHECKPOINT without --resume'
            )
        if runner.cfg.get('resume') and expected != found:
            kinds = {True: 'a model with frames', False: 'a plain model'}
            origin = (checkpoint.get('meta') or {}).get('experiment_name', 'of unknown name')
            raise DifferenceError(
                f'cannot resume {runner.cfg.filename or runner.experiment_name}, {kinds[expected]}, from {source}, a '
                f'checkpoint of {kinds[found]} (run {origin}); resume it with its own config, give another '
                '--work-dir, or start from its weights by --cfg-options load_from=CHECKPOINT without --resume'
            )
        if not expected and not self.accept_difference:
            refuse_frames(checkpoint, str(source))
        if not (self.accept_difference or trains(runner)):
            require_weights(unwrap(runner.model), checkpoint, str(source))


def check_same_weights(model: nn.Module, checkpoint: dict[str, Any], source: str) -> None:
    """Check that a checkpoint holds every parameter of a model in its shape, and none of another model.

    MMEngine loads what fits and goes on.

    Args:
        model: that resumes.
        checkpoint: its content.
        source: where it is from, for the message.

    Raises:
        DifferenceError: naming the first weight that differs.
    """
    own = {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    found = {key.removeprefix('module.'): value for key, value in checkpoint.get('state_dict', {}).items()}
    lost = [name for name, _ in model.named_parameters() if name in own and name not in found]
    foreign = [key for key in found if key not in own and key.endswith(('.weight', '.bias'))]
    reshaped = [key for key in own if isinstance(found.get(key), Tensor) and found[key].shape != own[key].shape]
    told = [f'{key} of the model is not in it' for key in lost]
    told += [f'its {key} is not in the model' for key in foreign]
    told += [f'its {key} is {tuple(found[key].shape)}, that of the model {tuple(own[key].shape)}' for key in reshaped]
    if told:
        raise DifferenceError(
            f'cannot resume from {source}, a checkpoint of another model: {told[0]}'
            + f', and {len(told) - 1} more' * (len(told) > 1)
            + ''.join(f'; {text}' for text in recorded_differences(model, found))
            + '; resume it with its own config, give another --work-dir, or start from the weights that fit by '
            '--cfg-options load_from=CHECKPOINT without --resume'
        )


def trains(runner: Runner) -> bool:
    """Whether a run trains: then what its first weights lack is learned."""
    return isinstance(getattr(runner, '_train_loop', None), BaseLoop)


def recorded_differences(model: nn.Module, found: dict[str, Any]) -> Iterator[str]:
    """What the parts of a model with frames say that the weights of a checkpoint were trained with, and they are not.

    Args:
        model: that loads.
        found: the weights, with the records among them.
    """
    for name, module in model.named_modules():
        record = found.get(f'{name}.{KEY}')
        if isinstance(module, Recorded) and record is not None:
            records = module.get_extra_state(), record
            own, other = (module.canonical(decode(each, module.place)) for each in records)
            differ = list(differences(own, other))
            if differ:
                yield describe(differ, module.place)


def learns_from_teacher(runner: Runner) -> bool:
    """Whether a hook of a run says that its model has a teacher."""
    return any(getattr(hook, 'is_teacher', False) for hook in runner.hooks)


def refuse_frames(checkpoint: dict[str, Any], source: str) -> None:
    """Refuse a checkpoint of a model with frames for a plain model.

    Args:
        checkpoint: its content.
        source: where it is from, for the message.

    Raises:
        DifferenceError: with the remedy.
    """
    if trained_on_frames(checkpoint):
        raise DifferenceError(
            f'{source} was trained on clips of several frames, but the config is that of a plain model; name the '
            'config of its training, give --das POLICY.json (--das repeat without a policy), or load its weights into '
            'the plain model by --accept-difference'
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
