"""Means over the seeds of a row, and what its curve reaches."""

import statistics
from collections.abc import Sequence


def length(record: dict) -> int:
    """Iterations of a run."""
    return record['curve'][-1]['iterations']


def with_common_end(records: Sequence[dict]) -> list[dict]:
    """Records of a row; where the clock ended them less than 2 % apart, all ends count as the first one's iteration."""
    ends = [length(record) for record in records]
    first = min(ends)
    if max(ends) > 1.02 * first:
        return list(records)
    return [
        {
            **record,
            'curve': [
                *(point for point in record['curve'] if point['iterations'] < first),
                {**record['curve'][-1], 'iterations': first},
            ],
        }
        for record in records
    ]


def of_row(records: Sequence[dict], name: str) -> list[dict]:
    """Records of one row."""
    found = [record for record in records if record['row'] == name]
    return with_common_end(found) if found else []


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, or the one value."""
    if not values:
        return ''
    if len(values) == 1:
        return f'{values[0]:.2f}'
    return f'{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}'


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of what is there."""
    present = [value for value in values if value is not None]
    return statistics.mean(present) if present else None


def shared_iterations(records: Sequence[dict]) -> list[int]:
    """Where the curves of all seeds have a point, in order."""
    curves = [{point['iterations'] for point in record['curve']} for record in records]
    return sorted(set.intersection(*curves)) if curves else []


def front(records: Sequence[dict], seconds: float) -> float | None:
    """Best mean score that a row reaches within so many seconds of training, over the points that all seeds have."""
    curves = [{point['iterations']: point for point in record['curve']} for record in records]
    scores = [
        mean([curve[key]['score'] for curve in curves])
        for key in shared_iterations(records)
        if mean([curve[key]['train_seconds'] for curve in curves]) <= seconds
    ]
    return max(scores, default=None)


def same_compute(rival: Sequence[dict], seconds: float) -> str:
    """What the rival reaches in as many seconds; '>=' where it was not trained for so long."""
    best = front(rival, 1.02 * seconds)
    if best is None:
        return ''
    longest = min(record['curve'][-1]['train_seconds'] for record in rival)
    return f'{">= " if longest < 0.95 * seconds else ""}{best:.2f}'


def number(value: float | None, digits: int) -> str:
    """A number or nothing."""
    return '' if value is None else f'{value:.{digits}f}'
