"""Schedules and hooks of a config that do not fit the length of its training, or wait for epochs in vain."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmdas.registry import type_name

from .config_options import named
from .toolbox_faults import KnownFault
from .training_length import LISTS, POINTS, schedules_of, training_length

Slip = tuple[str, str]  # what is wrong, and what mends it
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
    begins = [finite_number(one.get('begin')) or 0 for one in every]
    found = [slip for one in counted if (slip := _off_the_end(one, unit, total, begins))]
    if not found and len(counted) == len(every):
        found = _rest(counted, unit, total)
    if found:
        yield KnownFault('param_scheduler', *found[0])


def waiting_hooks(cfg: Config) -> Iterator[KnownFault]:
    """Hooks that count epochs, as by default, in a training by iterations."""
    if not (cfg.get('train_cfg') or {}).get('max_iters'):
        return
    hooks = cfg.get('default_hooks') or {}
    checkpoint, logger = hooks.get('checkpoint', {'interval': 1}), hooks.get('logger', {})  # as the runner has them
    interval = None if checkpoint is None else finite_number(checkpoint.get('interval'))
    if interval and interval > 0 and checkpoint.get('by_epoch', True):
        yield KnownFault(
            'default_hooks.checkpoint',
            f'interval={interval:g} counts epochs (by_epoch=True, the default), which a training by iterations does '
            'not have: there is no checkpoint before its end, but for save_best',
            'set by_epoch=False there, and count in iterations',
        )
    of_mmengine = logger is not None and type_name(logger) in ('', 'LoggerHook')
    if of_mmengine and cfg.get('val_dataloader') and logger.get('log_metric_by_epoch', True):
        yield KnownFault(
            'default_hooks.logger',
            'log_metric_by_epoch=True, the default, logs all validations of a training by iterations at step 0',
            'set log_metric_by_epoch=False there',
        )


def _steps_of_epochs(schedules: list) -> Iterator[KnownFault]:
    """Schedules that wait for epochs, in a training by iterations; a plateau waits for validations."""
    waiting = [one for one in schedules if one.get('by_epoch', True) and not one.get('convert_to_iter_based')]
    kinds = sorted({kind for one in waiting if not (kind := type_name(one)).startswith('ReduceOnPlateau')})
    if kinds:
        yield KnownFault(
            'param_scheduler',
            f'a training by iterations has no epochs, after which {named(kinds)} (by_epoch=True, the default) would '
            'take a step: it never takes one',
            'set by_epoch=False there, and count in iterations',
        )


def _off_the_end(one: Mapping, unit: str, total: int, begins: Sequence[float]) -> Slip | None:
    """What of one schedule does not fit the length of the training, and what does; None where all does.

    Args:
        one: the schedule.
        unit: that it counts in.
        total: length of the training.
        begins: of all its schedules.
    """
    kind, begin = type_name(one), finite_number(one.get('begin')) or 0
    end, span = finite_number(one.get('end')), finite_number(one.get('T_max'))
    late = [point for point in one.get('milestones') or () if begin + point >= total]
    fit = f'fit {", ".join(key for key in (*POINTS, *LISTS) if one.get(key))} to {total} {unit}'
    if late and begin + max(late) > total:
        return f'{kind} has milestones {late}, and the training ends at {total} {unit}: these never come', fit
    if end is not None and end > total and _is_shaped_by_its_end(one):
        return f'{kind} ends at {end:g} {unit}, the training at {total}: the end of the schedule never comes', fit
    if end is not None and begin >= end:
        return f'{kind} begins at {begin:g} {unit} and ends at {end:g}, which MMEngine refuses', fit
    last = total if end is None else min(end, total)
    if off := _off_its_steps(one, unit, begin, last, begins):
        return off, fit
    fit = f'set T_max={last - begin:g}'
    if span is not None and begin + span > total:
        return f'{kind} falls until {begin + span:g} {unit}, the training ends at {total}', fit
    if span is not None and begin + span < RISES * last and kind.startswith('CosineAnnealing'):
        return f'{kind} falls until {begin + span:g} {unit} and rises again until {last:g}', fit
    return None


def _is_shaped_by_its_end(one: Mapping) -> bool:
    """Whether a schedule takes another course with another end; others are cut off there."""
    kind = type_name(one)
    by_steps = {'CosineAnnealing': 'T_max', 'OneCycle': 'total_steps'}
    given = next((one.get(key) for name, key in by_steps.items() if kind.startswith(name)), None)
    return given is None and kind.startswith(('Linear', 'Poly', *by_steps))


def _off_its_steps(one: Mapping, unit: str, begin: float, last: float, begins: Sequence[float]) -> str:
    """What of a cycle, of restarts or of equal steps does not fit the iterations or epochs from one to another."""
    kind = type_name(one)
    steps, size = finite_number(one.get('total_steps')), finite_number(one.get('step_size'))
    periods = [finite_number(period) or 0 for period in one.get('periods') or ()]
    # MMEngine takes one step beyond the end of a cycle, and refuses the second.
    if kind.startswith('OneCycle') and steps is not None and not 0 <= last - begin - steps <= 1:
        after = 'then it stops the training by an error' if begin + steps < last else 'its end never comes'
        return f'{kind} has one cycle until {begin + steps:g} {unit}, the training ends at {last:g}: {after}'
    restarts = begin + sum(periods)
    followed = restarts < last and any(start >= restarts for start in begins)
    if kind.startswith('CosineRestart') and periods and restarts != last and not followed:
        after = 'after that nothing changes' if restarts < last else 'the end of the last period never comes'
        return f'{kind} has periods until {restarts:g} {unit}, the training ends at {last:g}: {after}'
    if kind.startswith('Step') and size is not None and begin + size >= last:
        return f'{kind} takes its first step after {begin + size:g} {unit}, the training ends at {last:g}: none comes'
    return ''


def _rest(schedules: list, unit: str, total: int) -> list[Slip]:
    """What is said of a training that goes on after all its schedules; nothing where the last is a warm-up."""
    ends = [finite_number(one.get('end')) for one in schedules]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends) or max(known) >= total:
        return []
    last = schedules[ends.index(max(known))]
    kind = type_name(last)
    if kind.startswith('Constant') or (kind.startswith('Linear') and last.get('end_factor', 1) == 1):
        return []
    text = f'all schedules end at {max(known):g} {unit}, the training at {total}: the rate does not change after that'
    return [(text, f'let the last of them end at {total}; of CosineAnnealingLR set T_max, too')]


def finite_number(value: Any) -> float | None:
    """A finite number; None for what is none, or stands for no end."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) and value < ENDLESS else None
