"""An object from a map: seeds, a cut by colours, the largest component (Simonyan et al. 2013, Sec. 3.2).

The colours decide where the object ends, so that the cut covers all of it, not only its most salient parts. A plain
threshold on the map is there for comparison.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .boxes import Box, box_of, largest_component
from .unit_map import unit_map

FOREGROUND = 0.95  # quantile of the map above which pixels are surely of the object
BACKGROUND = 0.3  # quantile below which they surely are not
STEPS = 5  # of the cut, each with colours fitted anew


@dataclass(frozen=True)
class Localization:
    """Result of :func:`localize` and :func:`localize_above`.

    Args:
        box: (left, top, right, bottom), the last two excluded.
        mask: (H, W), bool, of the object.
        seeds: (H, W), uint8, see :func:`seeds`; None for a plain threshold.
    """

    box: Box
    mask: np.ndarray
    seeds: np.ndarray | None = None


def seeds(saliency: np.ndarray, foreground: float = FOREGROUND, background: float = BACKGROUND) -> np.ndarray:
    """What the cut starts from: surely the object, surely not, or open.

    Args:
        saliency: (H, W), finite.
        foreground: quantile of the map above which a pixel is of the object, in (0, 1).
        background: quantile below which it is not, at most ``foreground``.

    Returns:
        (H, W), uint8, with OpenCV's ``GC_FGD``, ``GC_BGD`` and ``GC_PR_BGD`` (open). A map of many equal values, such
        as zeros, may have no pixel above or below a quantile; then there are no such seeds.

    Raises:
        ValueError: for quantiles that are not in order, a map that is not of two dimensions, or values that are not
            finite.
    """
    if not 0 < background <= foreground < 1:
        raise ValueError(
            f'seeds above the quantile {foreground} and below {background}: expected 0 < background <= foreground < 1'
        )
    if saliency.ndim != 2 or not np.isfinite(saliency).all():
        raise ValueError(f'a map (H, W) of finite numbers is expected, got one of shape {saliency.shape}')
    low, high = np.quantile(saliency, [background, foreground])
    found = np.full(saliency.shape, cv2.GC_PR_BGD, np.uint8)
    found[saliency < low] = cv2.GC_BGD
    found[saliency > high] = cv2.GC_FGD
    return found


def localize(
    image: np.ndarray,
    saliency: np.ndarray,
    foreground: float = FOREGROUND,
    background: float = BACKGROUND,
    steps: int = STEPS,
) -> Localization:
    """The object that a map points at, by GrabCut (Rother et al., SIGGRAPH 2004) on the colours of the image.

    Args:
        image: (H, W, 3), uint8, in any order of colours.
        saliency: (H, W), larger where the object is.
        foreground, background: see :func:`seeds`.
        steps: of the cut, at least 1. The first models of the colours come of random numbers of OpenCV, whose generator
            is set to 0 here, so that an image always gives the same.

    Returns:
        The largest component of the cut, its box, and the seeds. A map without seeds of both kinds, such as a constant
        one, points nowhere: then the object is the whole image.

    Raises:
        ValueError: for an image and a map that do not fit, or as :func:`seeds`.
    """
    if image.shape != (*saliency.shape, 3) or image.dtype != np.uint8:
        raise ValueError(
            f'an image {(*saliency.shape, 3)} of uint8 is expected for a map {saliency.shape}, got {image.shape} of '
            f'{image.dtype}'
        )
    start = seeds(saliency, foreground, background)
    kinds = set(np.unique(start).tolist())
    if not {cv2.GC_FGD, cv2.GC_BGD} <= kinds:
        return Localization((0, 0, image.shape[1], image.shape[0]), np.ones(saliency.shape, bool), start)
    cut, outer, inner = start.copy(), np.zeros((1, 65)), np.zeros((1, 65))  # models of the colours
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(image), cut, (0, 0, 0, 0), outer, inner, steps, cv2.GC_INIT_WITH_MASK)
    mask = largest_component((cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD))
    return Localization(box_of(mask), mask, start)


def localize_above(scores: np.ndarray, threshold: float) -> Localization:
    """The largest component of what a map has at or above a threshold, as class activation maps are read.

    Args:
        scores: (H, W), any range; it is stretched to [0, 1].
        threshold: in [0, 1].

    Raises:
        ValueError: for another threshold, or a map of another shape or with values that are not finite.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f'threshold is {threshold}, expected a number from 0 to 1')
    stretched = unit_map(scores)
    mask = largest_component(stretched >= min(threshold, stretched.max()))
    return Localization(box_of(mask), mask)
