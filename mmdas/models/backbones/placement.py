"""Where the residual blocks of the hosts' backbones take a fusion module."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

_STAGE = re.compile(r'^(?:layers?|stages?)\.?\d+')


@dataclass(frozen=True)
class Site:
    """The convolutions of one block, by their paths in the backbone: the input of ``first``, the output of ``last``."""

    first: str
    last: str

    @property
    def stage(self) -> str:
        """Part of the path that names the stage, such as ``layer3`` or ``stages.2``."""
        match = _STAGE.match(self.first)
        return match.group() if match else self.first.split('.')[0]


def block_convs(block: nn.Module) -> tuple[str, str] | None:
    """Paths of the first and the last convolution within a residual block, None for any other module.

    Known are blocks of the ResNet kind (``conv1`` to ``conv2`` or ``conv3``, with anything between, such as a
    deformable convolution; ResNeXt, RegNet, Res2Net, ResNeSt and HRNet use them too), ConvNeXt's (whose only spatial
    convolution is the depthwise one before the norm) and MobileNetV2's inverted residuals, of which only those with a
    shortcut count.
    """
    # The stem of HRNet and the layers of DenseNet have conv1 and conv2 as well, but no shortcut to downsample.
    if hasattr(block, 'downsample') and _is_conv(block, 'conv1'):
        last = next((name for name in ('conv3', 'conv2') if _is_conv(block, name)), None)
        return ('conv1', last) if last else None
    if _is_conv(block, 'depthwise_conv'):
        return 'depthwise_conv', 'depthwise_conv'
    inner = getattr(block, 'conv', None)
    if getattr(block, 'use_res_connect', False) and isinstance(inner, nn.Sequential):
        return 'conv.0.conv', f'conv.{len(inner) - 1}.conv'
    return None


def find_sites(backbone: nn.Module, stages: Sequence[int] | None = None) -> list[Site]:
    """Sites of all residual blocks, or of those in some stages.

    Args:
        backbone: the host's backbone.
        stages: positions in the list of the backbone's stages that have residual blocks; None takes all.

    Raises:
        ValueError: if there is no residual block, or no such stage.
    """
    sites = []
    for name, module in backbone.named_modules():
        convs = block_convs(module)
        if convs is not None:
            prefix = f'{name}.' if name else ''
            sites.append(Site(prefix + convs[0], prefix + convs[1]))
    if not sites:
        raise ValueError(
            f'{type(backbone).__name__} has no residual block in which frames could be fused; name the convolutions '
            "yourself: stages=['path.of.conv', ...]"
        )
    names = list(dict.fromkeys(site.stage for site in sites))
    if stages is None:
        return sites
    wrong = [stage for stage in stages if not 0 <= stage < len(names)]
    if wrong or not stages:
        raise ValueError(
            f'stages={list(stages)}: {type(backbone).__name__} has the stages 0..{len(names) - 1}, which are {names}'
        )
    wanted = {names[stage] for stage in stages}
    return [site for site in sites if site.stage in wanted]


def named_sites(backbone: nn.Module, paths: Sequence[str]) -> list[Site]:
    """Sites at convolutions that the user names.

    Raises:
        ValueError: for a path that leads to no convolution.
    """
    modules = dict(backbone.named_modules())
    for path in paths:
        if not isinstance(modules.get(path), nn.Conv2d):
            found = type(modules[path]).__name__ if path in modules else 'nothing'
            raise ValueError(
                f'{type(backbone).__name__}.{path} should be a convolution to fuse frames at, found {found}'
            )
    return [Site(path, path) for path in paths]


def _is_conv(module: nn.Module, name: str) -> bool:
    return isinstance(getattr(module, name, None), nn.Conv2d)
