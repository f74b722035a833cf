"""Maps of all kinds in one range."""

import numpy as np


def unit_map(scores: np.ndarray) -> np.ndarray:
    """A map stretched to [0, 1]; a constant one becomes zero.

    Args:
        scores: (H, W), any range.

    Returns:
        (H, W), float64.

    Raises:
        ValueError: if it is not (H, W), or holds a value that is not finite.
    """
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise ValueError(f'a map (H, W) of finite numbers is expected, got one of shape {scores.shape}')
    low, high = float(scores.min()), float(scores.max())
    return np.zeros(scores.shape) if high == low else (scores.astype(np.float64) - low) / (high - low)
