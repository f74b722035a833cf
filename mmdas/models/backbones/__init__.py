"""Backbones that fuse frames."""

from .frame_fusion_backbone import FrameFusionBackbone, FusionModules

__all__ = ['FrameFusionBackbone', 'FusionModules']
