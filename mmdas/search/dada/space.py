"""The search space of DADA (Li et al., ECCV 2020): all pairs of the operations of Fast AutoAugment."""

from itertools import combinations

from mmdas.search.augmentation.ranged import RangedOperation

# At the share 0.5, where a search begins, most operations do little: their ranges lie around no change.
DADA_OPERATIONS: tuple[RangedOperation, ...] = (
    RangedOperation('shear_x', -0.3, 0.3),
    RangedOperation('shear_y', -0.3, 0.3),
    RangedOperation('translate_x', -0.45, 0.45),
    RangedOperation('translate_y', -0.45, 0.45),
    RangedOperation('rotate', -30.0, 30.0),
    RangedOperation('auto_contrast'),
    RangedOperation('invert'),
    RangedOperation('equalize'),
    RangedOperation('solarize', 1.0, 0.0),
    RangedOperation('posterize', 4.0, 0.0),
    RangedOperation('contrast', -0.9, 0.9),
    RangedOperation('saturation', -0.9, 0.9),
    RangedOperation('brightness', -0.9, 0.9),
    RangedOperation('sharpness', -0.9, 0.9),
    RangedOperation('cutout', 0.0, 0.2),
)
PAIRS: tuple[tuple[int, int], ...] = tuple(combinations(range(len(DADA_OPERATIONS)), 2))
