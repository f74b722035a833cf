"""Schedules and hooks of a config that do not fit the length of its training, or wait for epochs in vain."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mmdas.registry import type_name

from .config_options import named
from .toolbox_faults import KnownFault
from .training_length import LISTS, POINTS, schedules_of, training_length

ENDLESS = 1e9  # the end of a schedule in MMEngine that has none
# Of its length, before which a cosine that has fallen shows a slip; later it is a warm-up that was left out.
RISES = 0.75


def schedule_ends(cfg: Config) -> Iterator[KnownFault]:
    """Schedules of a learning rate or another number that do not end with the training, or wait for epochs in vain."""
    try:
        unit, total = training_length(cfg)
    except (ValueError, TypeError):  # a test has none
        return
    every = [one for one in schedules_of(cfg) if isinstance(one, dict)]
    if unit == 'iters':
        yield from _steps_of_epochs(every)
    counted = [one for one in every if one.get('by_epoch', True) == (unit == 'epochs')]
    texts = [text for one in counted if (text := _off_the_end(one, unit, total))]
    if not texts and len(counted) == len(every):
        texts = _rest(counted, unit, total)
    if texts:
        points = ', '.join(sorted({key for one in counted for key in (*POINTS, *LISTS) if one.get(key)}))
        yield KnownFault('param_scheduler', texts[0], f'fit {points} of all its schedules to {total} {unit}')


def waiting_hooks(cfg: Config) -> Iterator[KnownFault]:
    """Hooks that count epochs, as by default, in a training by iterations."""
    if not (cfg.get('train_cfg') or {}).get('max_iters'):
        return
    hooks = cfg.get('default_hooks') or {}
    checkpoint, logger = hooks.get('checkpoint') or {}, hooks.get('logger', {})
    interval = finite_number(checkpoint.get('interval'))
    if interval and interval > 0 and checkpoint.get('by_epoch', True):
        yield KnownFault(
            'default_hooks.checkpoint',
            f'interval={interval:g} counts epochs (by_epoch=True, the default), which a training by iterations does '
            'not have: the first checkpoint is that of its end',
            'set by_epoch=False there, and count in iterations',
        )
    if cfg.get('val_dataloader') and logger is not None and logger.get('log_metric_by_epoch', True):
        yield KnownFault(
            'default_hooks.logger',
            'log_metric_by_epoch=True, the default, logs all validations of a training by iterations at step 0',
            'set log_metric_by_epoch=False there',
        )


def _steps_of_epochs(schedules: list) -> Iterator[KnownFault]:
    """Schedules that wait for epochs, in a training by iterations."""
    waiting = [one for one in schedules if one.get('by_epoch', True) and not one.get('convert_to_iter_based')]
    if waiting:
        yield KnownFault(
            'param_scheduler',
            f'a training by iterations has no epochs, after which {named(sorted({type_name(one) for one in waiting}))} '
            '(by_epoch=True, the default) would take a step: the rate does not change',
            'set by_epoch=False there, and count in iterations',
        )


def _off_the_end(one: Mapping, unit: str, total: int) -> str:
    """What of one schedule does not fit the length of the training; empty where all does."""
    kind, begin = type_name(one), finite_number(one.get('begin')) or 0
    end, span = finite_number(one.get('end')), finite_number(one.get('T_max'))
    late = [point for point in one.get('milestones') or () if point >= total]
    if late and max(late) > total:
        return f'{kind} has milestones {late}, and the training ends at {total} {unit}: these never come'
    if end is not None and end > total and not kind.startswith('Constant'):
        return f'{kind} ends at {end:g} {unit}, the training at {total}: the end of the schedule never comes'
    if end is not None and begin >= end:
        return f'{kind} begins at {begin:g} {unit} and ends at {end:g}, which MMEngine refuses'
    last = total if end is None else min(end, total)
    if off := _off_its_steps(one, unit, begin, last):
        return off
    if span is None:
        return ''
    if begin + span > total:
        return f'{kind} falls until {begin + span:g} {unit}, the training ends at {total}'
    if begin + span < RISES * last and kind.startswith('CosineAnnealing'):
        return f'{kind} falls until {begin + span:g} {unit} and rises again until {last:g}'
    return ''


def _off_its_steps(one: Mapping, unit: str, begin: float, last: float) -> str:
    """What of a cycle, of restarts or of equal steps does not fit the iterations or epochs from one to another."""
    kind = type_name(one)
    steps, size = finite_number(one.get('total_steps')), finite_number(one.get('step_size'))
    periods = [finite_number(period) or 0 for period in one.get('periods') or ()]
    if kind.startswith('OneCycle') and steps is not None and begin + steps != last:
        after = 'then it stops the training by an error' if begin + steps < last else 'its end never comes'
        return f'{kind} has one cycle until {begin + steps:g} {unit}, the training ends at {last:g}: {after}'
    if kind.startswith('CosineRestart') and periods and begin + sum(periods) != last:
        after = (
            'after that nothing changes' if begin + sum(periods) < last else 'the end of the last period never comes'
        )
        return f'{kind} has periods until {begin + sum(periods):g} {unit}, the training ends at {last:g}: {after}'
    if kind.startswith('Step') and size is not None and begin + size >= last:
        return f'{kind} takes its first step after {begin + size:g} {unit}, the training ends at {last:g}: none comes'
    return ''


def _rest(schedules: list, unit: str, total: int) -> list[str]:
    """What is said of a training that goes on after all its schedules; nothing where the last is a warm-up."""
    ends = [finite_number(one.get('end')) for one in schedules]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends) or max(known) >= total:
        return []
    last = schedules[ends.index(max(known))]
    kind = type_name(last)
    if kind.startswith('Constant') or (kind.startswith('Linear') and last.get('end_factor', 1) == 1):
        return []
    return [f'all schedules end at {max(known):g} {unit}, the training at {total}: the rate does not change after that']


def finite_number(value: Any) -> float | None:
    """A finite number; None for what is none, or stands for no end."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) and value < ENDLESS else None
