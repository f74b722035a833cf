"""Settings of a config that do not do what they seem to: the config is read without an error, and trains otherwise."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmdas.registry import type_name

from .config_files import ConfigError, find_config, iterate_dicts, read_config
from .config_options import READ, places_of
from .das_settings import preprocessor_of
from .toolbox_faults import KnownFault
from .training_length import schedules_of, training_length

NAMED = 2  # places that a message names


def find_slips(cfg: Config, path: str | Path | None = None) -> list[KnownFault]:
    """What a config says and does not do.

    1. A variable of a base that a file sets again: the base has put the old value in its places already.
    2. A schedule that ends before the training, or after it.
    3. Crops that are smaller than the size to which the data preprocessor pads.

    Args:
        cfg: of either toolbox; it is read only.
        path: its file. Default: none, the first kind is not looked for.

    Returns:
        In this order; empty where nothing is found.
    """
    variables = [] if path is None else list(unused_variables(cfg, Path(path)))
    return [*variables, *schedule_ends(cfg), *padded_crops(cfg)]


def warn_of_slips(cfg: Config, parameters: Iterable[str] | None = None) -> None:
    """Log a warning of each slip that the config itself shows, or its model.

    Args:
        cfg: of a training; it is read only.
        parameters: names of those of its model. Default: none, :func:`unmatched_rates` is not looked for.
    """
    slips = find_slips(cfg) if parameters is None else unmatched_rates(cfg, parameters)
    for slip in slips:
        print_log(f'{slip.place}: {slip.text}; {slip.remedy}', logger='current', level=logging.WARNING)


def unmatched_rates(cfg: Config, parameters: Iterable[str]) -> Iterator[KnownFault]:
    """Rates of learning for parts of a model that it does not have; MMEngine passes over them without a word.

    Args:
        cfg: of a training.
        parameters: names of those of its model.
    """
    names = list(parameters)
    for place, node in iterate_dicts({'optim_wrapper': cfg.get('optim_wrapper') or {}}):
        for key, value in (node.get('custom_keys') or {}).items():
            if 'lr_mult' in value and not any(key in name for name in names):
                close = get_close_matches(key, {name.rpartition('.')[0] for name in names}, n=1, cutoff=0.5)
                yield KnownFault(
                    f'{place}.custom_keys',
                    f'no parameter of the model has {key!r} in its name, so that lr_mult={value["lr_mult"]} is lost',
                    'write a part of a name, such as ' + repr(close[0] if close else names[0]),
                )


def unused_variables(cfg: Config, path: Path) -> Iterator[KnownFault]:
    """Variables that a file, or one that it inherits from, sets in vain.

    Args:
        cfg: what the file and those that it inherits from make together.
        path: of the file.
    """
    if path.suffix != '.py':
        return
    names, bases = _assigned(path)
    if not bases:
        return
    inherited: dict[str, Any] = {}
    try:
        for base in bases:
            inherited.update(read_config(base).items())
    except ConfigError:  # some can be read as a base alone
        return
    base_cfg = Config(inherited)
    for name in sorted(names & set(inherited) & set(cfg.keys()) - READ):
        places = [place for place in places_of(base_cfg, name) if _at(cfg, place) == inherited[name]]
        if places and cfg[name] != inherited[name] and not any(places_of(cfg, name)):
            shown = ', '.join(places[:NAMED])
            yield KnownFault(
                name,
                f'{path.name} sets the variable {name}, and nothing uses it: {shown} still has the value of its base',
                f'set {places[0]} = {name} there, too',
            )
    for base in bases:
        yield from unused_variables(cfg, base)


def _assigned(path: Path) -> tuple[set[str], list[Path]]:
    """Names that a config file assigns, and the files that it inherits from; none of a file of MMEngine's lazy kind."""
    names: set[str] = set()
    bases: list[Path] = []
    for step in ast.parse(path.read_text(encoding='utf-8')).body:
        if not isinstance(step, ast.Assign):
            continue
        targets = {target.id for target in step.targets if isinstance(target, ast.Name)}
        if '_base_' in targets:
            try:
                given = ast.literal_eval(step.value)
            except ValueError:  # made by code
                return names, []
            for base in [given] if isinstance(given, str) else given:
                bases.append(find_config(base)[0] if '::' in base else path.parent / base)
        names |= targets
    return names, bases


def _at(cfg: Config, place: str) -> Any:
    """What a dotted place holds; None where there is none."""
    node: Any = dict(cfg.items())
    for key in place.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(key)] if key.isdigit() and int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


def schedule_ends(cfg: Config) -> Iterator[KnownFault]:
    """Schedules of a learning rate or another number that do not end with the training."""
    try:
        unit, total = training_length(cfg)
    except ValueError:  # a test has none
        return
    schedules = [one for one in schedules_of(cfg) if one.get('by_epoch', True) == (unit == 'epochs')]
    ends = {number: _end(one) for number, one in enumerate(schedules)}
    finite = [end for end in ends.values() if end is not None]
    for number, one in enumerate(schedules):
        late = [point for point in one.get('milestones', ()) if point > total]
        if late:
            yield KnownFault(
                'param_scheduler',
                f'{type_name(one)} has milestones {late}, and the training ends at {total} {unit}: these never come',
                'give milestones within the training',
            )
        end = ends[number]
        if end is not None and end > total and type_name(one) not in ('ConstantLR', 'ConstantMomentum'):
            yield KnownFault(
                'param_scheduler',
                f'{type_name(one)} ends at {end} {unit}, the training at {total}: the end of the schedule never comes',
                f'set its end to {total}' + (', and its T_max in proportion' if 'T_max' in one else ''),
            )
    if schedules and len(finite) == len(schedules) == len(list(schedules_of(cfg))) and max(finite) < total:
        yield KnownFault(
            'param_scheduler',
            f'all schedules end at {max(finite)} {unit}, the training at {total}: the rate stands still from there',
            f'set the end of the last one to {total}',
        )


def _end(schedule: dict) -> int | None:
    """Where a schedule ends; None where it says nothing."""
    if schedule.get('end') is not None:
        return int(schedule['end'])
    return int(schedule.get('begin') or 0) + int(schedule['T_max']) if schedule.get('T_max') else None


def padded_crops(cfg: Config) -> Iterator[KnownFault]:
    """Crops of a segmentation that the data preprocessor pads."""
    size = preprocessor_of(cfg).get('size')
    loader = cfg.get('train_dataloader') or {}
    for place, node in iterate_dicts({'train_dataloader': loader}):
        crop = node.get('crop_size')
        if type_name(node) != 'RandomCrop' or size is None or crop is None:
            continue
        sides, wanted = ((value, value) if isinstance(value, int) else tuple(value) for value in (crop, size))
        if any(side < want for side, want in zip(sides, wanted, strict=True)):
            share = 1 - min(sides[0], wanted[0]) * min(sides[1], wanted[1]) / (wanted[0] * wanted[1])
            yield KnownFault(
                place,
                f'crops of {sides[0]} x {sides[1]} are padded to {wanted[0]} x {wanted[1]}, the size of the data '
                f'preprocessor: {share:.0%} of what the network sees is padding',
                'set both from one variable',
            )
