"""Scores of weakly supervised localisation.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, Sec. 4: the threshold on a map
is free, so that the maps are compared and not their thresholds.
"""

from collections.abc import Sequence

import numpy as np

from .boxes import components
from .unit_map import unit_map

IOUS = (0.3, 0.5, 0.7)  # of MaxBoxAccV2
THRESHOLDS = 100


def box_ious(boxes: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Areas of the intersections by those of the unions, (N, M).

    Args:
        boxes: (N, 4).
        truths: (M, 4).
    """
    boxes, truths = np.asarray(boxes, float).reshape(-1, 1, 4), np.asarray(truths, float).reshape(1, -1, 4)
    sides = np.minimum(boxes[..., 2:], truths[..., 2:]) - np.maximum(boxes[..., :2], truths[..., :2])
    shared = sides.clip(min=0).prod(-1)
    areas = [(one[..., 2:] - one[..., :2]).prod(-1) for one in (boxes, truths)]
    return shared / (areas[0] + areas[1] - shared)


class BoxAccuracy:
    """MaxBoxAcc and MaxBoxAccV2: the share of images whose box is right, at the best threshold for all of them.

    A box is right where its intersection over union with one of the image's true boxes reaches a bound. MaxBoxAcc takes
    the largest component and the bound 0.5. MaxBoxAccV2 takes the best of all components and the mean over the bounds
    0.3, 0.5 and 0.7, each at its own best threshold.

    Args:
        thresholds: number of them, from 0 on in equal steps below 1.
        ious: the bounds of MaxBoxAccV2.

    Raises:
        ValueError: for no threshold, or bounds outside (0, 1].
    """

    def __init__(self, thresholds: int = THRESHOLDS, ious: Sequence[float] = IOUS) -> None:
        if thresholds < 1 or not all(0 < iou <= 1 for iou in ious):
            raise ValueError(f'thresholds is {thresholds} and ious {tuple(ious)}, expected >= 1 and bounds in (0, 1]')
        self.thresholds, self.ious = np.arange(thresholds) / thresholds, tuple(ious)
        self.count = 0
        self._largest = np.zeros(thresholds)
        self._best = np.zeros((len(self.ious), thresholds))

    def add(self, scores: np.ndarray, boxes: Sequence[Sequence[float]]) -> None:
        """Add an image.

        Args:
            scores: (H, W), any range; it is stretched to [0, 1].
            boxes: its true ones, (M, 4), at least one.

        Raises:
            ValueError: for no box or an unusable map.
        """
        truths = np.asarray(boxes, float).reshape(-1, 4)
        if not len(truths):
            raise ValueError('an image without a true box cannot be scored')
        scores = unit_map(scores)
        self.count += 1
        for place, threshold in enumerate(self.thresholds):
            found, areas = components(scores >= threshold)[1:]
            overlaps = box_ious(found, truths).max(axis=1, initial=0)
            if len(overlaps):
                self._largest[place] += overlaps[int(areas.argmax())] >= 0.5
                self._best[:, place] += overlaps.max() >= np.asarray(self.ious)

    def result(self) -> dict[str, float]:
        """The scores in percent, with the threshold of MaxBoxAcc.

        Raises:
            ValueError: if there was no image.
        """
        if not self.count:
            raise ValueError('there was no image to score')
        best = 100 * self._best.max(axis=1) / self.count
        return {
            'MaxBoxAcc': 100 * float(self._largest.max()) / self.count,
            'MaxBoxAccV2': float(best.mean()),
            **{f'MaxBoxAccV2@{iou:g}': float(value) for iou, value in zip(self.ious, best, strict=True)},
            'threshold': float(self.thresholds[int(self._largest.argmax())]),
        }


class PixelPrecision:
    """PxAP: the area under the curve of precision over recall of all pixels, with a threshold for all images.

    PxAP = sum_l Prec(tau_l) (Rec(tau_l) - Rec(tau_(l-1))) for falling thresholds tau.

    Args:
        thresholds: number of them, in equal steps from 0 on.

    Raises:
        ValueError: for no threshold.
    """

    def __init__(self, thresholds: int = 1000) -> None:
        if thresholds < 1:
            raise ValueError(f'thresholds is {thresholds}, expected at least 1')
        self.thresholds = thresholds
        self._counts = np.zeros((2, thresholds), np.int64)  # pixels of background and object by their scores

    def add(self, scores: np.ndarray, mask: np.ndarray, ignored: np.ndarray | None = None) -> None:
        """Add an image.

        Args:
            scores: (H, W), any range; it is stretched to [0, 1].
            mask: (H, W), where the object is.
            ignored: (H, W), pixels that do not count. Default: none.

        Raises:
            ValueError: for shapes that differ, or an unusable map.
        """
        mask = np.asarray(mask) != 0
        if mask.shape != scores.shape or (ignored is not None and np.shape(ignored) != scores.shape):
            raise ValueError(f'the mask is {mask.shape}, but the map {scores.shape}')
        places = np.floor(unit_map(scores) * self.thresholds).astype(int).clip(max=self.thresholds - 1)
        counts = np.ones(mask.shape, bool) if ignored is None else ~(np.asarray(ignored) != 0)
        for kind in (0, 1):
            chosen = places[counts & (mask == bool(kind))]
            self._counts[kind] += np.bincount(chosen, minlength=self.thresholds)

    def result(self) -> float:
        """PxAP in percent.

        Raises:
            ValueError: if no pixel was of an object.
        """
        false, true = self._counts[:, ::-1].cumsum(axis=1)
        if not true[-1]:
            raise ValueError('no pixel of the masks is of an object')
        precision = true / np.maximum(true + false, 1)
        return 100 * float((precision * np.diff(true / true[-1], prepend=0)).sum())
