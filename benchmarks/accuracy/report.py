"""The page of the tables: ``python -m benchmarks.accuracy.report`` writes benchmarks/accuracy.md and its curves."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
matplotlib.rcParams['svg.hashsalt'] = 'mmdas'  # the same records give the same file

import matplotlib.pyplot as plt  # noqa: E402

from .__main__ import RESULTS, read  # noqa: E402
from .means import length, mean, number, of_row, same_compute, shared_iterations, spread  # noqa: E402
from .probes import VIEWS  # noqa: E402
from .rows import ROWS, Row  # noqa: E402
from .run import SINGLE  # noqa: E402
from .tasks import ROOT, TASKS, Task  # noqa: E402
from .total_cost import cost_table, costs, draw_costs  # noqa: E402

PAGE = ROOT / 'benchmarks' / 'accuracy.md'
HEADER = (
    'row',
    'T',
    'score',
    'at {iterations} iterations',
    'seeds',
    'plain with the same compute',
    'train frames, k',
    'train s',
    'test ms',
    'search s',
    'frame T//2 alone',
    'mean gate',
)
GEOMETRY_HEADER = (
    'row',
    'whole image, shifts in pixels',
    'by windows',
    'whole image, shifts as shares of it',
    'seeds',
    'train s',
    'test ms',
    'by windows, ms',
)
AUGMENT_HEADER = (
    *('row', 'T', 'score', 'with the mirrored image', 'seeds', 'search s', 'train s', 'test ms'),
    *('images augmented at the end', 'teachers, score', 'teachers s'),
)
MARKS = '<!-- {task}: {edge} of what the command writes -->'


def priced(records: Sequence[dict], path: Path) -> list[dict]:
    """Records with the times that ``cost.py`` measured; as they are where it has no file.

    Raises:
        ValueError: for a row that the file does not have.
    """
    if not path.is_file():
        return list(records)
    costs = json.loads(path.read_text())
    result = []
    for record in records:
        if record['row'] not in costs:
            raise ValueError(f'{path.name} has no row {record["row"]}; run python -m benchmarks.accuracy.cost')
        cost = costs[record['row']]
        times = {key: value for key, value in cost.items() if key.endswith('milliseconds') or key in record}
        curve = [
            {**point, 'train_seconds': cost['iteration_seconds'] * point['iterations']} for point in record['curve']
        ]
        result.append({**record, **times, 'curve': curve})
    return result


def table(rows: Sequence[Row], records: Sequence[dict], iterations: int) -> str:
    """Markdown table of a task."""
    lines = [
        f'| {" | ".join(HEADER).format(iterations=iterations)} |',
        '| --- ' * len(HEADER) + '|',
    ]
    for row in rows:
        found = of_row(records, row.name)
        if not found:
            continue
        last = shared_iterations(found)[-1]
        points = [point for record in found for point in record['curve'] if point['iterations'] == last]
        seconds = mean([point['train_seconds'] for point in points])
        equal = [p['score'] for record in found for p in record['curve'] if p['iterations'] == iterations]
        rival = of_row(records, 'plain-warped' if row.warped else 'plain')
        cells = [
            row.title,
            row.frames,
            spread([point['score'] for point in points]),
            spread(equal),
            len(found),
            same_compute(rival, seconds) if row.frames > 1 else '',
            f'{mean([point["frames"] for point in points]) / 1000:.0f}',
            f'{seconds:.0f}',
            f'{mean([record["test_milliseconds"] for record in found]):.2f}',
            number(mean([record['search_seconds'] for record in found]), 0),
            number(mean([record.get('reference') for record in found]), 2),
            number(mean([record.get('mean_gate') for record in found]), 2),
        ]
        lines.append(f'| {" | ".join(map(str, cells))} |')
        for views in VIEWS:
            scores = [record[f'tta{views}'] for record in found if f'tta{views}' in record]
            if scores:
                test = mean([record.get(f'tta{views}_milliseconds') for record in found])
                more = [f'{row.title} + {views} views', row.frames, spread(scores), '', len(scores), '', *cells[6:8]]
                lines.append(f'| {" | ".join(map(str, more))} | {number(test, 2)} |  |  |  |')
    return '\n'.join(lines)


def geometry_table(rows: Sequence[Row], records: Sequence[dict]) -> str:
    """Markdown table of the rows that were tested in several ways; empty without records.

    Trainings that the clock ended before others of the table are left out.
    """
    lines = []
    for row in rows:
        found = [record for record in records if record['row'] == row.name]
        found = [record for record in found if length(record) == max(map(length, found))]
        if found:
            shares = [record['shares'] for record in found if 'shares' in record]
            cells = [
                row.title,
                spread([record['score'] for record in found]),
                spread([record['windows'] for record in found]),
                spread(shares),
                len(found),
                f'{mean([record["curve"][-1]["train_seconds"] for record in found]):.0f}',
                f'{mean([record["test_milliseconds"] for record in found]):.1f}',
                f'{mean([record["windows_milliseconds"] for record in found]):.1f}',
            ]
            lines.append(f'| {" | ".join(map(str, cells))} |')
    if not lines:
        return ''
    return '\n'.join([f'| {" | ".join(GEOMETRY_HEADER)} |', '| --- ' * len(GEOMETRY_HEADER) + '|', *lines])


def augment_table(rows: Sequence[Row], records: Sequence[dict]) -> str:
    """Markdown table of the rows that augment, regularise or learn from others; empty without records."""
    lines = []
    for row in rows:
        found = [record for record in records if record['row'] == row.name]
        if not found:
            continue
        searched = mean([record['search_seconds'] for record in found])
        trained = mean([record['curve'][-1]['train_seconds'] for record in found]) or 0.0
        teachers = [record['teacher'] for record in found if 'teacher' in record]
        shares = [record['augment']['probability'] for record in found if 'augment' in record]
        cells = [
            row.title,
            row.frames,
            spread([record['score'] for record in found]),
            spread([record['tta2'] for record in found if 'tta2' in record]),
            len(found),
            number(searched, 0),
            f'{trained:.0f}',
            f'{mean([record["test_milliseconds"] for record in found]):.2f}',
            number(mean(shares) if shares else None, 2),
            spread([teacher['score'] for teacher in teachers]),
            number(mean([teacher['train_seconds'] for teacher in teachers]) if teachers else None, 0),
        ]
        lines.append(f'| {" | ".join(map(str, cells))} |')
    if not lines:
        return ''
    return '\n'.join([f'| {" | ".join(AUGMENT_HEADER)} |', '| --- ' * len(AUGMENT_HEADER) + '|', *lines])


def draw(rows: Sequence[Row], records: Sequence[dict], task: Task, path: Path) -> None:
    """Score against seconds of training, and against milliseconds of a test image."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True, layout='constrained')
    colours = plt.get_cmap('tab20').colors
    for position, row in enumerate(rows):
        found = of_row(records, row.name)
        if not found:
            continue
        points = [
            [point for record in found for point in record['curve'] if point['iterations'] == key]
            for key in shared_iterations(found)
        ]
        seconds = [mean([point['train_seconds'] for point in group]) for group in points]
        scores = [mean([point['score'] for point in group]) for group in points]
        line = '--' if row.frames == 1 else '-' if position < 20 else ':'
        style = {'color': colours[position % 20], 'linestyle': line}
        left.plot(seconds, scores, marker='.', label=f'{row.title}, T = {row.frames} ({len(found)})', **style)
        test = mean([record['test_milliseconds'] for record in found])
        views = [(test, scores[-1])] + [
            (
                mean([record.get(f'tta{count}_milliseconds') for record in found]),
                mean([record.get(f'tta{count}') for record in found]),
            )
            for count in VIEWS
        ]
        views = [(milliseconds, value) for milliseconds, value in views if milliseconds is not None]
        right.plot(*zip(*views, strict=True), marker='o', **style)
    left.set(xscale='log', xlabel=f'{task.device} seconds of training', ylabel=task.metric)
    right.set(xscale='log', xlabel=f'{task.device} milliseconds a test image (with 1, 2, 4, 8 views)')
    left.set_ylim(bottom=min(45 if task.metric.startswith('acc') else 20, left.get_ylim()[1] - 5))
    figure.legend(loc='outside right center', fontsize=7, title='row (seeds)')
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, metadata={'Date': None})
    plt.close(figure)


def replace_between(text: str, task: str, content: str) -> str:
    """The page with another table of a task.

    Raises:
        ValueError: if the page has no marks for the task.
    """
    start, end = (MARKS.format(task=task, edge=edge) for edge in ('begin', 'end'))
    if start not in text or end not in text:
        raise ValueError(f'{PAGE} has no marks {start!r} and {end!r}')
    return text[: text.index(start) + len(start)] + f'\n\n{content}\n\n' + text[text.index(end) :]


def main() -> None:
    """Write the tables into the page, and the curves beside the results."""
    text = PAGE.read_text()
    for name, task in TASKS.items():
        records = priced(read(RESULTS / f'accuracy-{name}.jsonl'), RESULTS / f'accuracy-{name}-cost.json')
        if not records:
            continue
        rows = [row for row in ROWS[name] if not row.geometry and not row.name.startswith(SINGLE)]
        picture = RESULTS / f'accuracy-{name}.svg'
        draw(rows, records, task, picture)
        content = f'Score: {task.what}.\n\n{table(rows, records, task.iterations)}'
        text = replace_between(text, name, f'{content}\n\n![curves](results/{picture.name})')
        for kind in ('geometry', 'sizes'):
            rows = [row for row in ROWS[name] if row.name.startswith(f'{kind}-')]
            written = geometry_table(rows, records)
            if written:
                text = replace_between(text, f'{name}, {kind}', written)
        for kind in SINGLE:
            rows = [row for row in ROWS[name] if row.name.startswith(f'{kind}-')]
            written = augment_table(rows, records)
            if written:
                text = replace_between(text, f'{name}, {kind}', written)
        found = costs(ROWS[name], records)
        if any(cost.teachers is not None for cost in found):
            picture = RESULTS / f'accuracy-{name}-total-cost.svg'
            draw_costs(found, of_row(records, 'plain'), task, picture)
            written = cost_table(found, of_row(records, 'plain'))
            text = replace_between(
                text, f'{name}, total cost', f'{written}\n\n![score over cost](results/{picture.name})'
            )
    PAGE.write_text(text)


if __name__ == '__main__':
    main()
