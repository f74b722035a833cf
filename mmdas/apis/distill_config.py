"""A training that learns from a teacher, from any config."""

import copy
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.engine.checkpoints import write_atomically
from mmdas.models.distillation import build_losses, check_views
from mmdas.registry import type_name
from mmdas.search.das import Policy

from .clip_config import prepare_clips
from .config_files import require_checkpoint, toolbox_of
from .config_loading import load_config
from .das_options import DASOptions
from .das_settings import preprocessor_of
from .device import adapt_to_device
from .pure_python import types_as_text
from .runner import check_run

# Word of the command -> type of the loss.
LOSSES = {'kl': 'mmdas.KLDistillation', 'cwd': 'mmdas.ChannelWiseDistillation', 'at': 'mmdas.AttentionTransfer'}
WITHOUT_TEMPERATURE = ('at',)
# What an online training averages its weights by, where its config does not: over the last eighth of the iterations.
AVERAGE = {'type': 'EMAHook', 'ema_type': 'MomentumAnnealingEMA', 'gamma': 8, 'update_buffers': True}
FILE = 'teacher{}.py'  # in the work directory; of several the later ones have a number


@dataclass(frozen=True)
class DistillOptions:
    """What a user chooses.

    Args:
        teachers: file or name of the config, and file of the weights, of each teacher. Default: none, for ``online``.
        das: what their plain configs were converted to: ``'repeat'``, ``'das'``, or None for configs that were not.
        options: of that conversion.
        losses: words of ``LOSSES``. Default: ``('kl',)``.
        temperatures: one a loss that has one, or one for all of them. Default: those of the losses.
        weights: one a loss, or one for all. Default: those of the losses.
        views: of each teacher, 1 or 2. Default: 1.
        cache: whether each teacher sees each image once, see ``cache`` of :class:`mmdas.DistillHook`. Default: False.
        online: whether the teacher is the average of the student's own weights. Default: False.
        output, teacher_output: place of the logits, where the head of student or teacher returns several tensors.
            Default: the only one.

    Raises:
        ValueError: for an unknown loss, another number of temperatures or weights than losses, a value that a loss or a
            teacher does not take, no teacher, or options that an online teacher does not have.
    """

    teachers: tuple[tuple[str, str], ...] = ()
    das: str | None = None
    options: DASOptions | None = None
    losses: tuple[str, ...] = ('kl',)
    temperatures: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    views: int = 1
    cache: bool = False
    online: bool = False
    output: int | None = None
    teacher_output: int | None = None

    def __post_init__(self) -> None:
        self._check_teacher()
        unknown = sorted(set(self.losses) - set(LOSSES))
        if unknown or not self.losses:
            raise ValueError(f'losses of a distillation are {", ".join(LOSSES)}, got {list(self.losses)}')
        without = [word for word in self.losses if word in WITHOUT_TEMPERATURE]
        if self.temperatures and len(without) == len(self.losses):
            raise ValueError(f'the loss {without[0]} has no temperature; give one temperature, for the others')
        for name, wanted in (('temperatures', len(self.losses) - len(without)), ('weights', len(self.losses))):
            count = len(getattr(self, name))
            if count not in (0, 1, wanted):
                one = f', or one a loss but {without[0]}' if name == 'temperatures' and without else ', or one a loss'
                raise ValueError(f'{count} {name} for {wanted} losses; give one{one}')
        build_losses(self.loss_configs(), 'mmdas distill')
        check_views(self.views)

    def _check_teacher(self) -> None:
        if not self.teachers and not self.online:
            raise ValueError(
                'a distillation needs a teacher: give --teacher CONFIG CHECKPOINT, or --online for the average of the '
                "student's own weights"
            )
        if not self.online:
            return
        given = {'--teacher': self.teachers, '--teacher-das': self.das, '--cache': self.cache}
        given['--teacher-output'] = self.teacher_output is not None
        found = [name for name, value in given.items() if value]
        if found:
            raise ValueError(
                f'{found[0]} does not go with --online, whose teacher is the average of the weights that train; leave '
                'one of them out'
            )

    def loss_configs(self) -> list[dict[str, Any]]:
        """Configs of the losses."""
        configs: list[dict[str, Any]] = [{'type': LOSSES[word]} for word in self.losses]
        for name, values in (('temperature', self.temperatures), ('weight', self.weights)):
            having = [
                config
                for word, config in zip(self.losses, configs, strict=True)
                if name == 'weight' or word not in WITHOUT_TEMPERATURE
            ]
            for config, value in zip(having, values * (len(having) if len(values) == 1 else 1), strict=False):
                config[name] = value
        return configs


def set_distillation(cfg: Config, options: DistillOptions, own_folder: bool = False) -> None:
    """Let a training learn from a teacher, whatever else the config says.

    The config of a teacher's model is written to ``teacher.py`` of the work directory, with its policy.

    Args:
        cfg: plain or of DAS; changed.
        options: the teachers and the losses.
        own_folder: whether the work directory gets another name, since it is that of the training without a teacher.
            Default: False.

    Raises:
        FileNotFoundError: if there is no such config, checkpoint or policy.
        ValueError: if the config of the teacher cannot be used, as :func:`mmdas.apis.load_config` says.
    """
    check_name(cfg)
    if own_folder:
        cfg.work_dir = f'{cfg.work_dir}_distilled'
    hooks = online_hooks(cfg, options) if options.online else [teacher_hook(cfg, options)]
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *hooks]


def online_hooks(cfg: Config, options: DistillOptions) -> list[dict[str, Any]]:
    """What lets a model learn from the average of its weights: that hook, and one that averages if there is none."""
    hook = {
        'type': 'mmdas.MeanTeacherHook',
        'losses': options.loss_configs(),
        'views': options.views,
        'output': options.output,
    }
    averaged = any(type_name(other) == 'EMAHook' for other in cfg.get('custom_hooks') or [])
    return [hook] if averaged else [dict(AVERAGE), hook]


def teacher_hook(cfg: Config, options: DistillOptions) -> dict[str, Any]:
    """The hook with the teachers, whose configs are written to the work directory."""
    teachers = []
    for number, (config, checkpoint) in enumerate(options.teachers, start=1):
        text = teacher_config(config, checkpoint, options).pretty_text
        path = place_of(Path(cfg.work_dir, FILE.format(number if number > 1 else '')), text)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
        teachers.append({'config': str(path), 'checkpoint': checkpoint, 'output': options.teacher_output})
    return {
        'type': 'mmdas.DistillHook',
        'teacher': teachers if len(teachers) > 1 else teachers[0],
        'losses': options.loss_configs(),
        'views': options.views,
        'output': options.output,
        **({'cache': True} if options.cache else {}),
    }


def place_of(path: Path, text: str) -> Path:
    """Where a teacher's config is written: beside that of another teacher, which an earlier run there may need."""
    if path.is_file() and path.read_text() != text:
        return path.with_name(f'{path.stem}-{zlib.crc32(text.encode()):08x}.py')
    return path


def set_self_distillation(cfg: Config, *, own_folder: bool = False) -> None:
    """Let few frames learn from all in a training for any number of frames, see :class:`mmdas.SelfDistillHook`.

    Args:
        cfg: changed in place.
        own_folder: whether the run gets a work directory of its own.

    Raises:
        ValueError: for a config whose model does not take fewer frames than T.
    """
    if not preprocessor_of(cfg).get('frame_dropout'):
        raise ValueError(
            '--self-distill: fewer frames learn from all, but this training has all frames alone; add '
            '--das POLICY.json --any-frames'
        )
    if own_folder:
        cfg.work_dir = f'{cfg.work_dir}_self-distilled'
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), {'type': 'mmdas.SelfDistillHook'}]


def check_name(cfg: Config) -> None:
    """Check that the config of a student does not have the name of a file that its work directory keeps a teacher in.

    Raises:
        ValueError: with the name.
    """
    name = Path(cfg.filename or '').name
    if re.fullmatch(r'teacher\d*(-[0-9a-f]{8})?\.py', name):
        raise ValueError(
            f'{name}: the work directory of a student keeps its teacher under this name; rename the config'
        )


def teacher_config(config: str, checkpoint: str, options: DistillOptions) -> Config:
    """The model of a teacher as a config that depends on no other file.

    Args:
        config: file or name of its config.
        checkpoint: file of its weights.
        options: what else is said of the teachers.

    Raises:
        as :func:`set_distillation`.
    """
    require_checkpoint(checkpoint)
    made = types_as_text(load_config(config, das=options.das, options=options.options))
    made.load_from = checkpoint  # which may hold the policy
    check_run(made)
    prepare_clips(made, preprocessor_of(made))
    adapt_to_device(made)
    return whole_model(made)


def whole_model(cfg: Config) -> Config:
    """The model of a config with its data preprocessor and policy, which depends on no other file.

    Args:
        cfg: as :func:`mmdas.apis.build_runner` prepares it.
    """
    preprocessor = copy.deepcopy(preprocessor_of(cfg))
    policy = preprocessor.get('policy')
    if isinstance(policy, str) and Path(policy).is_file():
        preprocessor['policy'] = Policy.load(policy).to_dict()
    model = {**cfg.model, 'data_preprocessor': preprocessor or None}
    imports = {'custom_imports': cfg.custom_imports} if cfg.get('custom_imports') else {}
    return Config({'default_scope': toolbox_of(cfg), **imports, 'model': model})
