"""The classes of the labels."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def check_labels(rows: list[dict[str, Any]], classes: Sequence[str] | None) -> None:
    """Raise a ValueError for a label that the training's data set has no class for."""
    labels = {int(label) for row in rows for label in row.get('pixels', [row.get('label', 0)])}
    if classes is not None and labels and max(labels) >= len(classes):
        raise ValueError(
            f'the model predicts class {max(labels)}, but the data set of the training has {len(classes)} classes; '
            'give the config that the model was trained with'
        )


def check_kept(rows: list[dict[str, Any]], folder: Path, confidence: float) -> None:
    """Raise a ValueError if no image of a folder has a label, with which nothing could be trained."""
    if any(row['kept'] for row in rows):
        return
    surest = max((row.get('score', 0.0) for row in rows), default=0.0)
    most = f', the surest of them has {surest:.3g}' if surest else ''
    raise ValueError(
        f'no image of {folder} has a label: all are below --confidence {confidence:g}{most}; give a lower one, and '
        'another --out-dir'
    )


def shares(rows: list[dict[str, Any]], classes: Sequence[str]) -> dict[str, float]:
    """Images of each class, or its pixels in percent of all pixels that the images have on average."""
    total: Counter = Counter()
    for row in rows:
        if 'pixels' in row:
            total.update({int(label): 100 * share / len(rows) for label, share in row['pixels'].items()})
        elif row['kept']:
            total[row['label']] += 1
    return {classes[label] if label < len(classes) else str(label): value for label, value in sorted(total.items())}
