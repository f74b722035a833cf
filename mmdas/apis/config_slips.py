"""Settings of a config that do not do what they seem to: the config is read without an error, and trains otherwise."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from .config_files import ConfigError, find_config, iterate_dicts, read_config, value_at
from .config_options import READ, named, places_of, same
from .das_settings import preprocessor_place
from .data_slips import (
    endless_tests,
    normalised_twice,
    padded_crops,
    too_few_classes,
    unlike_heads,
    unlike_ignored,
)
from .schedule_slips import schedule_ends, waiting_hooks
from .toolbox_faults import KnownFault

KINDS = (
    schedule_ends,
    waiting_hooks,
    padded_crops,
    normalised_twice,
    unlike_heads,
    unlike_ignored,
    too_few_classes,
    endless_tests,
)


def find_slips(cfg: Config, path: str | Path | None = None) -> list[KnownFault]:
    """What a config says and does not do.

    1. A variable of a base that a file sets again: the base has put the old value in its places already.
    2. A schedule that does not end with the training, or waits for epochs that it does not have.
    3. Hooks that wait for epochs in a training by iterations.
    4. Crops that are smaller than the size to which the data preprocessor pads.
    5. Images that are normalised twice.
    6. Heads and metrics that disagree on the classes, or on the ignored one.
    7. Tests without an end.

    Args:
        cfg: of either toolbox; it is read only.
        path: its file. Default: none, the first kind is not looked for.

    Returns:
        In this order; empty where nothing is found.
    """
    variables = [] if path is None else _found(unused_variables, _plain(dict(cfg.items())), Path(path))
    each = {slip.place: slip for slip in variables}  # of several files the first
    return [*each.values(), *(slip for kind in KINDS for slip in _found(kind, cfg))]


def _found(kind: Callable[..., Iterable[KnownFault]], *given: Any) -> list[KnownFault]:
    """Slips of a kind; none where it meets what no setting should be, of which the toolbox itself will tell."""
    try:
        return list(kind(*given))
    except Exception as error:  # a config may hold anything
        print_log(f'{kind.__name__} did not look at the config: {error!r}', logger='current', level=logging.DEBUG)
        return []


def warn_of_slips(cfg: Config, model: Any) -> None:
    """Log a warning of each slip that the config of a training itself shows, and of :func:`unmatched_rates`.

    What cannot be looked at stops no training.

    Args:
        cfg: of a training; it is read only.
        model: the built one; of a runner that has not built it yet its config, in which no parameter is looked for.
    """
    slips = find_slips(cfg)
    if isinstance(model, nn.Module):
        slips += _found(unmatched_rates, cfg, [name for name, _ in model.named_parameters()])
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
        keys = node.get('custom_keys')
        for key, value in keys.items() if isinstance(keys, dict) else ():
            if isinstance(value, dict) and value.get('lr_mult', 1) != 1 and not any(key in name for name in names):
                known = {name.rpartition('.')[0] for name in names} | {name.partition('.')[0] for name in names}
                close = get_close_matches(key, known, n=1, cutoff=0.7)
                shown = close or sorted({name.partition('.')[0] for name in names})
                yield KnownFault(
                    f'{place}.custom_keys',
                    f'no parameter of the model has {key!r} in its name, so that lr_mult={value["lr_mult"]} is lost',
                    'write a part of a name, such as ' + ' or '.join(map(repr, shown)),
                )


def unused_variables(cfg: dict, path: Path) -> Iterator[KnownFault]:
    """Variables that a file, or one that it inherits from, sets in vain.

    Args:
        cfg: what the file and those that it inherits from make together, without marks of packages.
        path: of the file.
    """
    names, bases = _assigned(path)
    if not bases:
        return
    inherited: dict[str, Any] = {}
    try:
        for base in bases:
            inherited.update(_plain(dict(read_config(base).items())))
    except (ConfigError, OSError, ValueError):  # some can be read as a base alone
        return
    base_cfg = Config(inherited)
    for name in sorted(names & set(inherited) & set(cfg) - READ):
        stale = [
            place
            for place in places_of(base_cfg, name)
            if _has_its_name(place, name, inherited[name])
            and same(value_at(cfg, place), inherited[name])
            and _is_read(cfg, place)
        ]
        if stale and not same(cfg[name], inherited[name]):
            yield KnownFault(
                name,
                f'{path.name} sets {name}, which its base has put in its places before: {named(stale)} '
                f'{"has" if len(stale) == 1 else "have"} the old value',
                'set these there, too, if they are meant; of a pipeline the whole list',
            )
    for base in bases:
        yield from unused_variables(cfg, base)


def _has_its_name(place: str, name: str, value: Any) -> bool:
    """Whether a place may have a variable's value: a few numbers, such as a size, may be there by chance."""
    key = next(word for word in reversed(place.split('.')) if not word.isdigit())
    numbers = isinstance(value, (list, tuple)) and all(isinstance(one, (int, float)) for one in value)
    return not numbers or key in name or name in key


def _is_read(cfg: Any, place: str) -> bool:
    """Whether a place is not in a data preprocessor beside the one that counts."""
    return place.partition('.')[0] != 'data_preprocessor' or preprocessor_place(cfg) == 'data_preprocessor'


def _plain(node: Any) -> Any:
    """Without the marks by which MMEngine knows from which package a dict comes."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key != '_scope_'}
    return type(node)(map(_plain, node)) if type(node) in (list, tuple) else node


def _assigned(path: Path) -> tuple[set[str], list[Path]]:
    """Names that a config file assigns, and the files that it inherits from; none of a file of MMEngine's lazy kind."""
    names: set[str] = set()
    bases: list[Path] = []
    try:
        steps = ast.parse(path.read_bytes()).body if path.suffix == '.py' else []
        for step in steps:
            targets = step.targets if isinstance(step, ast.Assign) else [getattr(step, 'target', None)]
            found = {target.id for target in targets if isinstance(target, ast.Name)}
            if '_base_' in found and isinstance(step, (ast.Assign, ast.AnnAssign)) and step.value is not None:
                given = ast.literal_eval(step.value)
                for base in [given] if isinstance(given, str) else given:
                    bases.append(find_config(base)[0] if '::' in base else path.parent / base)
            names |= found
    except (SyntaxError, ValueError, TypeError, OSError):  # placeholders, or bases that code makes
        return names, []
    return names, bases
