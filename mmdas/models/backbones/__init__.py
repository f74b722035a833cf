"""Backbones that fuse frames, and those that the toolboxes lack."""

from .frame_fusion_backbone import FrameFusionBackbone, FusionModules
from .wide_resnet import WideResNet

__all__ = ['FrameFusionBackbone', 'FusionModules', 'WideResNet']
