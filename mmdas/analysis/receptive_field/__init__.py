"""Receptive fields: in theory, measured, what a clip adds to them, and their shape."""

from .clip_reach import box_in_middle, field_in_middle, frame_reaches, union_of
from .measured import effective_field
from .shape import FieldShape, describe_field, radii_of
from .theory import StageField, stages_of, theoretical_fields

__all__ = [
    'FieldShape',
    'StageField',
    'box_in_middle',
    'describe_field',
    'effective_field',
    'field_in_middle',
    'frame_reaches',
    'radii_of',
    'stages_of',
    'theoretical_fields',
    'union_of',
]
