"""What a comparison found, as a table and in words."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(console: Console, result: dict[str, Any]) -> None:
    """Print the table of a comparison and what it says.

    Args:
        console: that is written to.
        result: ``comparison`` of the notes.
    """
    table = Table(title=f'{result["metric"]} on the held-out part of the training set')
    for column in ('method', *rung_titles(result), 'behind', 'test', 'cost s'):
        table.add_column(column, justify='left' if column == 'method' else 'right')
    for name in order(result):
        table.add_row(
            name, *rung_scores(result, name), behind(result, name), test_score(result, name), cost(result, name)
        )
    console.print(table)
    for line in conclusions(result):
        console.print(line, soft_wrap=True, highlight=False)


def order(result: dict[str, Any]) -> list[str]:
    """All methods, those that came farthest first."""
    names: list[str] = [one['name'] for one in result['standings']]
    for rung in reversed(result['rungs']):
        own = {name: fmean(scores.values()) for name, scores in rung['scores'].items() if scores}
        names += sorted((name for name in own if name not in names), key=lambda name: -own[name])
    return names + [name for name in result['seconds'] if name not in names]


def rung_titles(result: dict[str, Any]) -> list[str]:
    """A title for the scores of each rung."""
    return [f'{rung["length"]} {result["unit"]}, {seeds(rung["seeds"])}' for rung in result['rungs']]


def seeds(count: int) -> str:
    """A number of seeds in words."""
    return f'{count} seed' if count == 1 else f'{count} seeds'


def rung_scores(result: dict[str, Any], name: str) -> list[str]:
    """Scores of a method in each rung; empty where it was not in it."""
    return [mean_and_spread(rung['scores'].get(name, {}).values()) for rung in result['rungs']]


def mean_and_spread(values: Any) -> str:
    """``mean ± standard deviation``, the latter of two values and more; empty for none."""
    scores = list(values)
    if not scores:
        return ''
    spread = f' ± {stdev(scores):.2f}' if len(scores) > 1 else ''
    return f'{fmean(scores):.2f}{spread}'


def behind(result: dict[str, Any], name: str) -> str:
    """How far a finalist is behind the winner, with the standard error; of a method that left, that it failed."""
    if name in result.get('failed', {}):
        return 'failed'
    for one in result['standings']:
        if one['name'] == name and name != result['winner']:
            error = '' if one['error'] is None else f' ± {one["error"]:.2f}'
            return f'{one["behind"]:.2f}{error}'
    return ''


def test_score(result: dict[str, Any], name: str) -> str:
    """Score on the test set, which the winner and plain alone have."""
    return mean_and_spread(result['tests'].get(name, {}).values())


def cost(result: dict[str, Any], name: str) -> str:
    """Seconds of all steps of a method."""
    return f'{result["seconds"][name]:.0f}'


def conclusions(result: dict[str, Any]) -> list[str]:
    """What the scores say, and what they do not."""
    winner, last = result['winner'], result['rungs'][-1]
    lines = [f'The best is {winner}.']
    others = [one for one in result['standings'] if one['name'] != winner]
    if others and others[0]['error'] is None:
        lines = [f'The best is {winner}, with a single seed: how much of the lead is chance is not known.']
    elif others:
        level = [one['name'] for one in others if one['level']]
        rest = [one['name'] for one in others if not one['level']]
        lines += [f'Within noise of it (two standard errors of the difference): {", ".join(level)}.'] if level else []
        lines += [f'Behind by more than noise: {", ".join(rest)}.'] if rest else []
    again = '; once its cause is gone, the same command with --retry-failed tries it again'
    lines += [reason + again for reason in result.get('failed', {}).values()]
    if not result['complete']:
        lines.append('The budget ended before the comparison was complete: what is missing was not trained.')
    if last['length'] < result['full']:
        lines.append(f'This holds for trainings of {last["length"]} of {result["full"]} {result["unit"]}.')
    if last['length'] < result['full'] / 2:
        lines.append('That is short: strong augmentation may still overtake in longer ones; give more by --budget.')
    lines.append(what_it_took(result))
    return lines


def what_it_took(result: dict[str, Any]) -> str:
    """The budget and what was used of it."""
    unit, spent = result.get('budget_unit', 's'), f'It took {result["spent"]:.0f} s'
    if unit == 's':
        return f'{spent} of a budget of {result["budget"]:.0f} s.'
    return f'{spent}, and its trainings {result["trained"]:.0f} {unit} of a budget of {result["budget"]:.0f} {unit}.'
