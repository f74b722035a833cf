"""Pure functions on tensors: clips, affine warps, photometric operations, shifts along time, sparse warps, saliency."""

from . import affine, clip, photometric, saliency, temporal, warp_operator

__all__ = ['affine', 'clip', 'photometric', 'saliency', 'temporal', 'warp_operator']
