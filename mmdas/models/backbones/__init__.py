"""Backbones that fuse frames. ``mmdas.models`` has those that the toolboxes lack, too."""

from .frame_fusion_backbone import FrameFusionBackbone, FusionModules

__all__ = ['FrameFusionBackbone', 'FusionModules']
