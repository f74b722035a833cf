"""Where the blocks of the hosts' backbones take a fusion module."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from .stage_names import stage_of
from .token_placement import TokenSite, token_sites


@dataclass(frozen=True)
class Site:
    """The convolutions of one block, by their paths in the backbone: the input of ``first``, the output of ``last``."""

    first: str
    last: str

    @property
    def stage(self) -> str:
        """Part of the path that names the stage, such as ``layer3`` or ``stages.2``."""
        return stage_of(self.first)


AnySite = Site | TokenSite


@dataclass(frozen=True)
class BlockKind:
    """What a residual block looks like.

    Args:
        marker: attribute that every block of the kind has; a block in which it is False has no shortcut.
        first: parts of the block that may come first on its residual path; the first one that it has counts.
        last: the same for the end of the path.
        examples: whose blocks look like this.
    """

    marker: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    examples: str


# The first kind that fits a block counts. A part is a convolution or holds some: then its first or last one is meant.
BLOCK_KINDS = (
    # The stem of HRNet and the layers of DenseNet have conv1 and conv2 as well, but no shortcut to downsample.
    BlockKind('downsample', ('conv1',), ('conv3', 'conv2'), 'ResNet and kin, RegNet, HRNet, DDRNet, PIDNet'),
    BlockKind('add_identity', ('conv1',), ('conv2',), 'CSPDarkNet'),
    BlockKind('shortcut', ('conv1',), ('conv2',), 'BiSeNetV2'),
    BlockKind('use_res_connect', ('conv',), ('conv',), 'MobileNetV2, MobileViT, Fast-SCNN'),
    BlockKind('with_res_shortcut', ('expand_conv', 'depthwise_conv'), ('linear_conv',), 'MobileNetV3, EfficientNet'),
    BlockKind('with_residual', ('conv1',), ('conv2',), 'the fused blocks of EfficientNet'),
    BlockKind('has_skip', ('conv',), ('conv',), 'the plain blocks of EfficientNetV2'),
    BlockKind('g_conv_1x1_compress', ('g_conv_1x1_compress',), ('g_conv_1x1_expand',), 'ShuffleNetV1'),
    BlockKind('skip_connect', ('conv1x1',), ('f_loc',), 'CGNet'),
    BlockKind('convs_layers', ('convs_layers',), ('convs_layers',), 'ERFNet'),
    BlockKind('gnconv', ('gnconv.proj_in',), ('gnconv.proj_out',), 'HorNet'),
    BlockKind('large_kernel', ('pw1',), ('pw2',), 'RepLKNet'),
    BlockKind('attn', ('attn.proj_1',), ('attn.proj_2',), 'VAN, SegNeXt'),
    BlockKind('pointwise_conv1', ('depthwise_conv',), ('depthwise_conv',), 'ConvNeXt, its only spatial convolution'),
    BlockKind('mlp', ('mlp.fc1',), ('mlp.fc2',), 'PoolFormer, RIFormer, EfficientFormer'),
    BlockKind('feedforward_channels', ('layers',), ('layers',), 'SegFormer, whose feed-forward part is convolutional'),
    BlockKind('fc2', ('fc1',), ('fc2',), 'ViG'),
    BlockKind('fn', ('fn',), ('fn',), 'ConvMixer'),
    BlockKind('drop_path', ('conv1',), ('conv3',), 'Conformer, TinyViT'),
)
# Blocks without a shortcut, which count in backbones without any of the above.
PLAIN_KINDS = (BlockKind('convs', ('convs',), ('convs',), 'U-Net'),)
NAMED = 6  # candidates that a message names


def block_convs(block: nn.Module, kinds: Sequence[BlockKind] = BLOCK_KINDS) -> tuple[str, str] | None:
    """Paths of the first and the last convolution within a block of some kinds, None for any other module.

    A block is known by what it has, not by its class, so that those of a user's own backbone count too.
    """
    for kind in kinds:
        first = next((path for part in kind.first if (path := conv_in(block, part, 0))), None)
        last = next((path for part in kind.last if (path := conv_in(block, part, -1))), None)
        if hasattr(block, kind.marker) and first and last:
            return None if getattr(block, kind.marker) is False else (first, last)
    return None


def conv_in(block: nn.Module, part: str, position: int) -> str | None:
    """Path of the first (position 0) or last (-1) convolution in a part of a block, None if there is none."""
    try:
        module = block.get_submodule(part)
    except AttributeError:
        return None
    convs = [path for path, inner in module.named_modules(prefix=part) if isinstance(inner, nn.Conv2d)]
    return convs[position] if convs else None


def find_sites(backbone: nn.Module, stages: Sequence[int] | None = None) -> list[AnySite]:
    """Sites of all residual blocks, or of those in some stages.

    In U-Net they are those of its blocks without a shortcut, in a transformer without convolutions those of its tokens.

    Args:
        backbone: the host's backbone.
        stages: positions in the list of the backbone's stages that have such blocks; None takes all.

    Raises:
        ValueError: if there is no such block, or no such stage.
    """
    sites: list[AnySite] = [*(_block_sites(backbone, BLOCK_KINDS) or _block_sites(backbone, PLAIN_KINDS))]
    sites = sites or [*token_sites(backbone)]
    if not sites:
        raise ValueError(' '.join(_explain_no_site(backbone)))
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


def _block_sites(backbone: nn.Module, kinds: Sequence[BlockKind]) -> list[Site]:
    sites: list[Site] = []
    blocks: list[str] = []
    for name, module in backbone.named_modules():
        if any(name.startswith(f'{block}.') for block in blocks):
            continue  # a part of a block that has its site
        convs = block_convs(module, kinds)
        if convs is not None and (name or kinds is BLOCK_KINDS):  # a plain block is a part of its backbone
            blocks.append(name)
            prefix = f'{name}.' if name else ''
            sites.append(Site(prefix + convs[0], prefix + convs[1]))
    return sites


def _explain_no_site(backbone: nn.Module) -> Iterator[str]:
    """What to do with a backbone without known blocks: the convolutions behind its first, or no fusion."""
    yield f'{type(backbone).__name__} has no residual block in which frames could be fused;'
    convs = [path for path, module in backbone.named_modules() if isinstance(module, nn.Conv2d)][1:]
    if convs:
        more = f' and {len(convs) - NAMED} more' if len(convs) > NAMED else ''
        yield (
            f'its convolutions are {", ".join(convs[:NAMED])}{more}: name some by --sites {convs[0]} ... '
            f"(stages=['{convs[0]}', ...] of FrameFusionBackbone), or"
        )
    yield 'go without fusion: --fusion none (fusion=None)'


def named_sites(backbone: nn.Module, paths: Sequence[str]) -> list[AnySite]:
    """Sites at convolutions that the user names, or at the attention of blocks, such as ``layers.0.attn``.

    Raises:
        ValueError: for a path that leads to neither.
    """
    modules = dict(backbone.named_modules())
    tokens = {site.part: site for site in token_sites(backbone)}
    for path in paths:
        if path not in tokens and not isinstance(modules.get(path), nn.Conv2d):
            found = type(modules[path]).__name__ if path in modules else 'nothing'
            also = f' or one of {", ".join(list(tokens)[:NAMED])}, ...' if tokens else ''
            raise ValueError(
                f'{type(backbone).__name__}.{path} should be a convolution{also} to fuse frames at, found {found}'
            )
    return [tokens.get(path) or Site(path, path) for path in paths]
