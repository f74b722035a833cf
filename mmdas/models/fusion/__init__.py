"""Frame fusion: modules that let a 2-D backbone mix features of neighbouring frames."""

from .base import FrameFusion, GatedFusion
from .gate_shift import GateShift
from .gate_shift_fuse import GateShiftFuse
from .temporal_shift import TemporalShift

__all__ = ['FrameFusion', 'GateShift', 'GateShiftFuse', 'GatedFusion', 'TemporalShift']
