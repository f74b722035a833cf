"""The page: its style, the parts about each run, and the comparison of several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from .charts import COLOURS, front, front_chart, line_chart
from .extra_parts import field_part, search_part
from .groups import Group, groups_of
from .pictures import picture_part
from .run_record import ReportError, RunRecord, read_json, read_run
from .tables import folded, table

USUAL = ('mIoU', 'accuracy/top1')  # what MMSegmentation and MMPretrain compare by
COMPARISON = 'compare.json'  # notes of mmdas compare
LIGHT = ('#1f6feb', '#d1480f', '#2a8a3e', '#8a4fbf', '#b58900', '#c2307a', '#0f8b8d', '#6b7280')
DARK = ('#6ea8fe', '#ff9466', '#6fcf82', '#c39bf0', '#e6c34a', '#f288ba', '#5fd0d2', '#a5acb8')
STYLE = """
:root { color-scheme: light dark; --fg: #1b1f24; --bg: #fff; --soft: #d7dbe0; --off: #8b929c; LIGHT }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e7eb; --bg: #14171a; --soft: #343a42; --off: #7d8590; DARK } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--bg); color: var(--fg);
       font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--soft); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; overflow-x: auto; } svg text { fill: var(--fg); }
svg { width: 100%; min-width: 30rem; height: auto; font-size: 13px; }
img { max-width: 100%; height: auto; background: #fff; }
figcaption { font-size: .85rem; } .grid { stroke: var(--soft); } .curve { fill: none; stroke-width: 2; }
.front { stroke: var(--off); stroke-dasharray: 4 4; } .off { fill: var(--off); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; font-size: .85rem; }
.legend span { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 50%; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--soft); font-size: .8rem; } summary { cursor: pointer; }
"""


def write_report(folders: Sequence[str | Path], path: str | Path, metric: str | None = None) -> Path:
    """Write a page about runs.

    Args:
        folders: work directories, or those of ``mmdas compare``, of which the last trainings are shown.
        path: of the page.
        metric: by which runs are compared. Default: that of a comparison, or the usual one of a toolbox, or the first
            that most runs have.

    Returns:
        the path.

    Raises:
        ReportError: for a folder that holds no run, or one that is named twice, or a metric that no run has.
    """
    named = [str(Path(folder).resolve()) for folder in folders]
    twice = next((folder for folder in named if named.count(folder) > 1), None)
    if twice is not None:
        raise ReportError(f'{twice} is named twice; leave one out')
    wanted, groups = metric, list[Group]()
    sections: list[str] = []
    for folder in map(Path, folders):
        found = comparison_in(folder)
        if found is None:
            continue
        sections.append(comparison_section(folder, found))
        metric = metric or found['metric']
        groups += [
            Group(name, [read_run(folder / run) for run in runs.values()])
            for name, runs in found['runs'].items()
            if runs
        ]
    groups += groups_of([read_run(folder) for folder in map(Path, folders) if comparison_in(folder) is None])
    runs = [(group, run) for group in groups for run in group.runs]
    names = dict.fromkeys(name for _, run in runs for name in run.scores)
    if wanted is not None and wanted not in names:
        raise ReportError(f'no run has the metric {wanted}; there are {", ".join(names) or "none"}')
    if len(runs) > 1:
        sections.append(overview(groups, metric or common_metric(groups)))
    sections += [run_section(group, run) for group, run in runs]
    title = 'Report on ' + ', '.join(Path(folder).resolve().name for folder in folders)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(page(title, sections), encoding='utf-8')
    return Path(path)


def comparison_in(folder: Path) -> dict[str, Any] | None:
    """The result of ``mmdas compare`` in a folder; None where it holds another run.

    Raises:
        ReportError: if the comparison has not ended.
    """
    notes = folder / COMPARISON
    if not notes.is_file():
        return None
    found: dict[str, Any] | None = read_json(notes).get('comparison')
    if found is None:
        raise ReportError(f'the comparison in {folder} has not ended; go on with it by the same mmdas compare')
    return found


def page(title: str, sections: Sequence[str]) -> str:
    """A whole page: HTML that is XML, too."""
    colours = ['', '']
    for number, (light, dark) in enumerate(zip(LIGHT, DARK, strict=True)):
        colours[0] += f'--c{number}: {light}; '
        colours[1] += f'--c{number}: {dark}; '
    style = STYLE.replace('LIGHT', colours[0]).replace('DARK', colours[1])
    for number in range(COLOURS):
        style += f'.c{number} {{ fill: var(--c{number}); stroke: var(--c{number}); }}\n'
        style += f'.curve.c{number} {{ fill: none; }} span.c{number} {{ background: var(--c{number}); }}\n'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<title>{escape(title)}</title><style>{style}</style></head>\n'
        f'<body><h1>{escape(title)}</h1>\n' + '\n'.join(sections) + '\n</body></html>\n'
    )


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation; None for less than two values."""
    return stdev(values) if len(values) > 1 else None


def overview(groups: Sequence[Group], metric: str) -> str:
    """Scores, cost and classes of several groups of runs."""
    rows, points = [], {}
    for group in groups:
        scores, seconds = group.scores(metric), group.seconds
        rows.append([group.name, len(group.runs), ', '.join(group.seeds), *summary(scores), seconds, group.memory])
        if scores and seconds is not None:
            points[group.name] = (seconds, fmean(scores))
    best = set(front(points))
    rows = [[*row, 'yes' if row[0] in best else ''] for row in rows]
    head = ('run', 'n', 'seeds', f'{metric} mean', 'spread', 'training s', 'GPU MB', 'on the front')
    parts = ['<section><h2>Comparison</h2>', table(head, rows)]
    if len(points) > 1:
        parts.append(front_chart(f'{metric} over the cost of the training', points, 'training, s', metric))
    parts.append(class_table(groups))
    return ''.join(parts) + '</section>'


def summary(scores: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and spread; None for what is not known."""
    return (fmean(scores), spread(scores)) if scores else (None, None)


def common_metric(groups: Sequence[Group]) -> str:
    """The metric that most runs have; of equals the usual one of a toolbox, else the first."""
    names = [name for group in groups for run in group.runs for name in run.scores]
    usual = [name for name in USUAL if name in names]
    return max(dict.fromkeys([*usual, *names]), key=names.count) if names else 'score'


def class_table(groups: Sequence[Group]) -> str:
    """Scores of classes, a column each group; empty text where the logs have none."""
    with_classes = [group for group in groups if group.classes]
    if not with_classes:
        return ''
    names = dict.fromkeys(name for group in with_classes for name in group.classes)
    rows = [[name, *(group.classes.get(name) for group in with_classes)] for name in names]
    metric = next(run.class_metric for run in with_classes[0].runs if run.classes)
    return f'<h3>{escape(metric)} of each class</h3>' + table(['class', *(group.name for group in with_classes)], rows)


def run_section(group: Group, run: RunRecord) -> str:
    """All about a run."""
    seed = f', seed {run.seed}' if len(group.runs) > 1 and run.seed else ''
    facts = [[name, value] for name, value in run.scores.items()]
    facts += [['training, s', run.seconds], ['GPU memory, MB', run.memory]]
    parts = [f'<section><h2>{escape(group.name + seed)}</h2>', f'<p>{escape(str(run.folder))}</p>']
    parts.append(table(('what', 'value'), [fact for fact in facts if fact[1] is not None]))
    losses = {name: curve for name, curve in run.training.items() if 'loss' in name}
    rates = {name: curve for name, curve in run.training.items() if name.endswith('lr')}
    parts += [line_chart('loss', losses, 'iteration'), line_chart('learning rate', rates, 'iteration')]
    validated = {name: curve for name, curve in run.validation.items() if len(curve) > 1}
    parts.append(line_chart('validation', validated, run.unit))
    parts.append(class_table([Group(group.name, [run])]))
    parts += [search_part(run.search), field_part(run.receptive_field), picture_part(run.pictures)]
    for name, policy in run.policies.items():
        parts.append(folded(name, json.dumps(policy, indent=1)))
    if run.config:
        parts.append(folded('config', run.config))
    return ''.join(parts) + '</section>'


def comparison_section(folder: Path, found: Mapping[str, Any]) -> str:
    """What ``mmdas compare`` found: the rungs, the final, the test of the winner and plain."""
    metric = found['metric']
    titles = [f'{rung["length"]} {found["unit"]}, seeds: {rung["seeds"]}' for rung in found['rungs']]
    head = ['method', *titles, 'test', 'cost, s']
    rows = []
    for name, seconds in found['seconds'].items():
        scores = [summary(list(rung['scores'].get(name, {}).values()))[0] for rung in found['rungs']]
        test = summary(list(found['tests'].get(name, {}).values()))[0]
        rows.append([name, *scores, test, float(seconds)])
    final = [
        [one['name'], one['mean'], spread(one['scores']), one['behind'], one['error'], level(one)]
        for one in found['standings']
    ]
    failed = ''.join(f'<p>{escape(text)}</p>' for text in found.get('failed', {}).values())
    finals = ('method', f'{metric} mean', 'spread', 'behind', 'standard error', 'within noise')
    return (
        f'<section><h2>{escape(folder.resolve().name)}: the best is {escape(found["winner"])}</h2>'
        f'<p>{escape(metric)} on a held-out part of the training set chose; the test set was used for the winner and '
        f'plain alone. It took {found["spent"]:.0f} s; the budget was {found["budget"]:.0f} '
        f'{escape(found.get("budget_unit", "s"))}. A training at full length has {found["full"]} '
        f'{escape(found["unit"])}.</p>'
        f'{table(head, rows)}{failed}<h3>Last rung</h3>{table(finals, final)}</section>'
    )


def level(one: Mapping[str, Any]) -> str:
    """Whether a method of the last rung is within noise of the best."""
    return 'not known' if one['error'] is None else 'yes' if one['level'] else 'no'
