"""Pure functions on tensors: clip layouts, affine warps, photometric operations, shifts along time, sparse warps."""

from . import affine, clip, photometric, temporal, warp_operator

__all__ = ['affine', 'clip', 'photometric', 'temporal', 'warp_operator']
