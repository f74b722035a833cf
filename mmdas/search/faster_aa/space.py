"""The search space of Faster AutoAugment (Hataya et al., ECCV 2020)."""

from mmdas.search.augmentation.ranged import RangedOperation

# Magnitudes of operations with steps have the sign that makes images brighter, so that the straight-through derivative
# points the right way: the threshold of solarize rises, and so do the bits that posterize keeps.
FASTER_AA_SPACE: tuple[RangedOperation, ...] = (
    RangedOperation('shear_x', 0.0, 0.3),
    RangedOperation('shear_y', 0.0, 0.3),
    RangedOperation('translate_x', 0.0, 0.45),
    RangedOperation('translate_y', 0.0, 0.45),
    RangedOperation('rotate', 0.0, 30.0),
    RangedOperation('horizontal_flip'),
    RangedOperation('invert'),
    RangedOperation('solarize', 1.0, 0.0),
    RangedOperation('posterize', 4.0, 0.0),
    RangedOperation('contrast', -1.0, 1.0),
    RangedOperation('saturation', -1.0, 1.0),
    RangedOperation('brightness', -1.0, 1.0),
    RangedOperation('sharpness', -1.0, 1.0),
    RangedOperation('auto_contrast'),
    RangedOperation('equalize'),
)
# Operations whose own derivative in the magnitude is zero wherever there is one.
STEPPED = ('solarize', 'posterize')
