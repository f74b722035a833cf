"""KeepAugment (Gong et al., CVPR 2021): augmentation that leaves alone what matters to the network."""

from .early import EarlySaliency
from .keep_cut_mix import KeepCutMix
from .keep_cutout import KeepCutout
from .keep_paste import KeepPaste
from .sources import NetworkSaliency

__all__ = ['EarlySaliency', 'KeepCutMix', 'KeepCutout', 'KeepPaste', 'NetworkSaliency']
