"""Backbones that fuse frames."""

from .frame_fusion_backbone import FusionModules, build_frame_fusion_backbone

__all__ = ['FusionModules', 'build_frame_fusion_backbone']
