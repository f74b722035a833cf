"""The classes of the labels."""

from collections import Counter
from collections.abc import Sequence
from typing import Any


def check_labels(rows: list[dict[str, Any]], classes: Sequence[str] | None) -> None:
    """Raise a ValueError for a label that the training's data set has no class for."""
    labels = {int(label) for row in rows for label in row.get('pixels', [row.get('label', 0)])}
    if classes is not None and labels and max(labels) >= len(classes):
        raise ValueError(
            f'the model predicts class {max(labels)}, but the data set of the training has {len(classes)} classes; '
            'give the config that the model was trained with'
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
