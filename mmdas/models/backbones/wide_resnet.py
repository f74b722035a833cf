"""Wide residual networks (Zagoruyko & Komodakis, *Wide Residual Networks*, BMVC 2016)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdas.registry import MODELS

STEM = 16  # channels of the first convolution
STAGES = 3


class WideBlock(nn.Module):
    """Two 3 x 3 convolutions, each behind its norm and ReLU, and a shortcut (Fig. 1 d).

    Where the size or the channels change, the shortcut is a 1 x 1 convolution of what the first norm and ReLU give.

    Args:
        in_channels, channels: of input and output.
        stride: of the first convolution.
        dropout: probability between the convolutions, 0 for none.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        changes = stride != 1 or in_channels != channels
        self.downsample = nn.Conv2d(in_channels, channels, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / stride, W / stride)."""
        active = F.relu(self.norm1(x))
        out = F.relu(self.norm2(self.conv1(active)))
        if self.dropout is not None:
            out = self.dropout(out)
        return self.conv2(out) + (x if self.downsample is None else self.downsample(active))


@MODELS.register_module()
class WideResNet(BaseModule):
    """WRN-depth-widen_factor for small images (Table 1 of the paper): three stages, with strides 1, 2 and 2.

    Its names are those of a ResNet, so that frames are fused in it as in a ResNet.

    Args:
        depth: number of convolutions with a stem and without shortcuts, 6 n + 4 for n blocks a stage.
        widen_factor: how many times as many channels as a ResNet has: 16, 32 and 64 times it.
        dropout: probability within each block. Default: 0, none; the paper's other setting is 0.3.
        in_channels: of the images. Default: 3.
        out_indices: stages whose output is wanted, of 0, 1, 2. Default: the last one.
        init_cfg: initialisation. Default: He's for convolutions, as in the paper.

    Shape:
        (N, in_channels, H, W) -> tuple of (N, C, h, w), a stage each. The last stage comes out behind a norm and ReLU,
        the others before those of the next block.

    Raises:
        ValueError: for a depth, width, probability or stage that there is not.
    """

    def __init__(
        self,
        depth: int,
        widen_factor: int,
        dropout: float = 0.0,
        in_channels: int = 3,
        out_indices: Sequence[int] = (STAGES - 1,),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f'depth of a WideResNet must be 6 n + 4, such as 16, 28 or 40, got {depth}')
        if widen_factor < 1:
            raise ValueError(f'widen_factor must be at least 1, got {widen_factor}')
        if not 0 <= dropout < 1:
            raise ValueError(f'dropout must be in [0, 1), got {dropout}')
        if not out_indices or not set(out_indices) <= set(range(STAGES)):
            raise ValueError(f'out_indices must be some of 0..{STAGES - 1}, got {out_indices}')
        default = [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', layer='_BatchNorm', val=1),
        ]
        super().__init__(default if init_cfg is None else init_cfg)
        self.out_indices = tuple(out_indices)
        self.conv1 = nn.Conv2d(in_channels, STEM, 3, padding=1, bias=False)
        channels = STEM
        for stage in range(STAGES):
            width = STEM * widen_factor * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * ((depth - 4) // 6 - 1)
            blocks = []
            for stride in strides:
                blocks.append(WideBlock(channels, width, stride, dropout))
                channels = width
            self.add_module(f'layer{stage + 1}', nn.Sequential(*blocks))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images -> feature maps of the wanted stages."""
        x = self.conv1(x)
        outputs = []
        for stage in range(max(self.out_indices) + 1):
            x = self.get_submodule(f'layer{stage + 1}')(x)
            if stage in self.out_indices:
                outputs.append(F.relu(self.norm(x)) if stage == STAGES - 1 else x)
        return tuple(outputs)
