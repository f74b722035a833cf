"""Components of masks and their boxes.

A box is (left, top, right, bottom) in whole pixels, the last two excluded: its width is right - left.
"""

import cv2
import numpy as np

Box = tuple[int, int, int, int]


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The components of a mask, pixels that touch at sides or corners.

    Args:
        mask: (H, W), bool or numbers, of which those that are not zero count.

    Returns:
        Numbers of the components (H, W), 0 outside and from 1 on within; boxes (N, 4); areas (N,) in pixels.
    """
    _, numbers, stats, _ = cv2.connectedComponentsWithStats((np.asarray(mask) != 0).astype(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:].T
    return numbers, np.stack([left, top, left + width, top + height], axis=1), area


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The component of most pixels, the first in reading order of equal ones; empty for an empty mask.

    Args:
        mask: (H, W).

    Returns:
        (H, W), bool.
    """
    numbers, _, areas = components(mask)
    if not len(areas):
        return np.zeros(numbers.shape, bool)
    largest = np.flatnonzero(areas == areas.max()) + 1
    first = min(largest, key=lambda number: int(np.argmax(numbers.ravel() == number)))
    return numbers == first


def box_of(mask: np.ndarray) -> Box:
    """The smallest box with all of a mask.

    Args:
        mask: (H, W).

    Raises:
        ValueError: for an empty mask.
    """
    rows, columns = np.flatnonzero(np.any(mask, axis=1)), np.flatnonzero(np.any(mask, axis=0))
    if not len(rows):
        raise ValueError('an empty mask has no box')
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
