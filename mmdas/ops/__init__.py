"""Pure functions on tensors: clip layouts, affine warps, photometric operations, shifts along time."""

from . import affine, clip, photometric, temporal

__all__ = ['affine', 'clip', 'photometric', 'temporal']
