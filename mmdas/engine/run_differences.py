"""What a resume under other settings than those of the checkpoint means: refused, or accepted with a word."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .run_record import first

SHOWN = 6  # phases that a message names
UNITS = {'max_iters': 'iterations', 'max_epochs': 'epochs'}


@dataclass(frozen=True)
class Difference:
    """A setting that changed, in words.

    Args:
        text: names the setting, what it was and is, and what follows.
        level: ``'refused'``, ``'warning'`` or ``'info'``.
    """

    text: str
    level: str = 'warning'


def compare_runs(was: dict[str, Any], is_: dict[str, Any], iterations: int) -> list[Difference]:
    """The settings in which a run that resumes differs from the one that wrote the checkpoint.

    Args:
        was: record in the checkpoint.
        is_: of the run that resumes.
        iterations: done at the checkpoint.
    """
    found = [*_optimizers(was, is_), *_data(was, is_), *_changes(was, is_), *_releases(was, is_)]
    if ('search' in was) != ('search' in is_):
        kinds = {True: 'a search', False: 'a training'}
        text = f'the checkpoint is of {kinds["search" in was]}, and this is {kinds["search" in is_]}'
        return [*found, Difference(text, 'refused')]
    if 'search' in is_:
        return [*found, *_search(was['search'], is_['search'], iterations)]
    return [*found, *_length(was, is_, iterations)]


def _optimizers(was: dict[str, Any], is_: dict[str, Any]) -> Iterator[Difference]:
    for name, kind in is_['optimizers'].items():
        before = was.get('optimizers', {}).get(name, kind)
        if before != kind:
            place = 'optim_wrapper' + f'.{name}' * bool(name)
            yield Difference(
                f'{place}.optimizer was {before} and is {kind}: the state of one is not that of the other', 'refused'
            )
            return
    changed = _changed(was, is_, 'options')
    if changed:
        yield Difference(f'the optimisers go on with what the checkpoint holds: {", ".join(changed)}')
    if was.get('schedulers', is_['schedulers']) != is_['schedulers']:
        yield Difference(
            f'param_scheduler was {was["schedulers"]} and is {is_["schedulers"]}: a scheduler of the checkpoint goes '
            'on in the one at its place, others begin at the first iteration'
        )


def _data(was: dict[str, Any], is_: dict[str, Any]) -> Iterator[Difference]:
    batch, processes = was.get('batch_size', is_['batch_size']), was.get('processes', is_['processes'])
    if (batch, processes) != (is_['batch_size'], is_['processes']):
        place = 'after as many batches as before' if 'search' in is_ else 'where the data stood'
        yield Difference(
            f'an iteration took {batch} samples in each of {processes} processes, and takes {is_["batch_size"]} in '
            f'each of {is_["processes"]}: it goes on {place}, but is no longer the run of the checkpoint'
        )
    samples = was.get('samples', is_['samples'])
    if samples != is_['samples']:
        yield Difference(
            f'the training set had {samples} samples and has {is_["samples"]}'
            + (
                ', so that the two parts of the search are others: the policy would be judged by what the weights saw'
                if 'search' in is_
                else ': their order is drawn anew'
            ),
            'refused' if 'search' in is_ else 'warning',
        )


def _changes(was: dict[str, Any], is_: dict[str, Any]) -> Iterator[Difference]:
    for key, words in (('regularizers', 'regularisers of features'), ('augments', 'augments of the batches')):
        now = is_.get(key, [])
        before = was.get(key, now)
        if before != now:
            were, are = (', '.join(record) or 'none' for record in (before, now))
            yield Difference(f'{words} were {were}, and are {are}: it is no longer that training')


def _releases(was: dict[str, Any], is_: dict[str, Any]) -> Iterator[Difference]:
    changed = _changed(was, is_, 'releases')
    if changed:
        yield Difference(f'it ran with {", ".join(changed)}: numbers may differ from those it would have had')


def _changed(was: dict[str, Any], is_: dict[str, Any], key: str) -> list[str]:
    """The values under a key of both records that are others now."""
    before, now = was.get(key, {}), is_.get(key, {})
    return [f'{name} {before[name]} (now {value})' for name, value in now.items() if before.get(name, value) != value]


def _length(was: dict[str, Any], is_: dict[str, Any], iterations: int) -> Iterator[Difference]:
    for key, unit in UNITS.items():
        before, now = was.get(key), is_.get(key)
        if now is None or before == now:
            continue
        if before is None:
            yield Difference(f'the training counted in other units, and now in {unit}', 'refused')
        elif key == 'max_iters' and iterations >= now:
            yield Difference(
                f'train_cfg.{key} was {before} and is {now}: the checkpoint is beyond, nothing is left to do'
            )
        else:
            yield Difference(
                f'train_cfg.{key} was {before} and is {now}. The schedulers go on as the checkpoint has them, whatever '
                'param_scheduler says of their ends: rates stay as they are after that',
                'info',
            )


def _search(was: dict[str, Any], is_: dict[str, Any], iterations: int) -> Iterator[Difference]:
    for key in ('operations', 'num_nodes'):
        if was.get(key, is_[key]) != is_[key]:
            yield Difference(f'{key} of the cell: {was[key]} in the checkpoint, {is_[key]} now', 'refused')
    numbers = {'policy_interval': 1, **was}  # earlier releases had no other
    told = [
        f'{key} was {numbers[key]} and is {is_[key]}'
        for key in ('warmup', 'length', 'policy_interval')
        if numbers.get(key, is_[key]) != is_[key]
    ]
    if was.get('policy_batch_size', is_['policy_batch_size']) != is_['policy_batch_size']:
        told.append(
            f'the batches of the policy part had {was["policy_batch_size"]} samples and have {is_["policy_batch_size"]}'
        )
    before, now = first(was.get('phases', is_['phases']), iterations), first(is_['phases'], iterations)
    begun = 'policy' in (phase for phase, _ in now)
    if before != now or (begun and numbers['policy_interval'] != is_['policy_interval']):
        told.append(f'its {iterations} iterations were {_in_words(before)}, and would be {_in_words(now)}')
        yield Difference(f'the search has begun by another schedule: {"; ".join(told)}', 'refused')
    elif told or was.get('phases', is_['phases']) != is_['phases']:
        told.append(f'the phases are now {_in_words(is_["phases"])}')
        yield Difference(f'the rest of the search has another schedule: {"; ".join(told)}')


def _in_words(phases: list[list]) -> str:
    more = f' and {len(phases) - SHOWN} more' if len(phases) > SHOWN else ''
    return ', '.join(f'{length} {phase}' for phase, length in phases[:SHOWN]) + more
