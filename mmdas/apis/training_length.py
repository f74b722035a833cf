"""A training of another length, its schedule of the learning rate stretched or compressed with it."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmdas.registry import type_name

# Options of schedules that count iterations or epochs, and those that hold several such numbers.
POINTS = ('begin', 'end', 'T_max', 'total_steps', 'total_iters', 'step_size')
LISTS = ('milestones', 'periods')
EPOCH_LOOPS = ('EpochBasedTrainLoop', 'ResumableEpochBasedTrainLoop', 'EpochBasedSearchLoop')
ITER_LOOPS = ('IterBasedTrainLoop', 'ResumableIterBasedTrainLoop', 'IterBasedSearchLoop')


def training_length(cfg: Config) -> tuple[str, int]:
    """Unit (``'iters'`` or ``'epochs'``) and number of a training.

    Raises:
        ValueError: if the config says neither.
    """
    loop = cfg.get('train_cfg') or {}
    for unit in ('iters', 'epochs'):
        if loop.get(f'max_{unit}'):
            return unit, int(loop[f'max_{unit}'])
    raise ValueError('train_cfg says neither max_iters nor max_epochs; give the length of the training there')


def check_length_unit(cfg: Config) -> None:
    """Check that the length of a training is in the unit that its loop counts.

    Raises:
        ValueError: for ``max_iters`` of a loop of epochs, or ``max_epochs`` of one of iterations.
    """
    loop = cfg.get('train_cfg') or {}
    by_epoch = loop.get('by_epoch')
    kind = type_name(loop)
    if kind in EPOCH_LOOPS or (by_epoch and not kind):
        unit, other = 'epochs', 'iters'
    elif kind in ITER_LOOPS or (by_epoch is False and not kind):
        unit, other = 'iters', 'epochs'
    else:
        return
    if loop.get(f'max_{other}') is not None:
        raise ValueError(
            f'train_cfg.max_{other}={loop[f"max_{other}"]} has no meaning here: this training counts '
            f'{"iterations" if unit == "iters" else unit} ({kind or f"by_epoch={by_epoch}"}); set train_cfg.max_{unit}'
        )


def set_training_length(cfg: Config, length: int) -> None:
    """Give a training another length, with one validation and one checkpoint at its end.

    All points of the schedules move in proportion, warm-ups too: the training ends at the rate that it ended at. An
    exponential decay gets the rate of decay that ends at the same value. Checkpoints between stay if they come before
    the end.

    Args:
        cfg: of a training; changed.
        length: in the unit of its loop, >= 1.

    Raises:
        ValueError: for a length below 1, or a config without a length.
    """
    if length < 1:
        raise ValueError(f'a training has at least 1 iteration or epoch, got {length}')
    unit, before = training_length(cfg)
    cfg.train_cfg[f'max_{unit}'] = length
    cfg.train_cfg['val_interval'] = length
    for key in ('val_begin', 'dynamic_intervals'):
        cfg.train_cfg.pop(key, None)
    for schedule in schedules_of(cfg):
        stretch(schedule, length / before)
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint')
    if checkpoint is not None:
        interval = checkpoint.get('interval', 1)
        checkpoint['interval'] = interval if 0 < interval < length else length
        checkpoint['save_last'] = True
        checkpoint.pop('save_begin', None)
        checkpoint.pop('save_best', None)  # the last checkpoint counts


def schedules_of(cfg: Config) -> Iterator[Any]:
    """The schedules of rates and momenta in a config."""
    schedulers = cfg.get('param_scheduler') or []
    groups = schedulers.values() if isinstance(schedulers, dict) and 'type' not in schedulers else [schedulers]
    for group in groups:
        yield from [group] if isinstance(group, dict) else group


def stretch(schedule: Any, ratio: float) -> None:
    """Move the points of a schedule in proportion; those that were apart stay apart.

    Args:
        schedule: config of one; changed.
        ratio: new length over old.
    """
    for key in POINTS:
        if schedule.get(key):
            schedule[key] = max(round(schedule[key] * ratio), 0 if key == 'begin' else 1)
    if schedule.get('end') is not None and schedule['end'] <= schedule.get('begin', 0):
        schedule['end'] = schedule.get('begin', 0) + 1
    for key in LISTS:
        if schedule.get(key):
            points: list[int] = []
            for point in schedule[key]:
                points.append(max(round(point * ratio), 1, points[-1] + 1 if points and key == 'milestones' else 1))
            schedule[key] = points
    if type_name(schedule).startswith('Exponential') and schedule.get('gamma'):
        schedule['gamma'] = schedule['gamma'] ** (1 / ratio)
