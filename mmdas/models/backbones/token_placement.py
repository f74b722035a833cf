"""Where the blocks of transformers take a fusion module: at tokens, (B*T, L, C)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from .stage_names import stage_of


@dataclass(frozen=True)
class TokenSite:
    """A module of one block whose tokens are fused.

    Args:
        block: path of the block in the backbone. Its call may tell the grid of the tokens.
        part: path of the module.
        channels: C, width of the tokens.
        is_output: whether the output of the module is fused; else its input.
    """

    block: str
    part: str
    channels: int
    is_output: bool = False

    @property
    def stage(self) -> str:
        """Part of the path that names the stage."""
        return stage_of(self.part)


@dataclass(frozen=True)
class TokenKind:
    """What a block of a transformer looks like.

    Args:
        marker: path of a part that every block of the kind has.
        part: path of the module whose tokens are fused.
        widths: parts of the block that know the width of these tokens; the first one that it has counts.
        examples: whose blocks look like this.
        is_output: whether the output of the module is fused; else its input.
    """

    marker: str
    part: str
    widths: tuple[str, ...]
    examples: str
    is_output: bool = False


# The first kind that fits a block counts.
TOKEN_KINDS = (
    TokenKind(
        'attn', 'attn', ('norm1', 'ln1'), 'ViT, DeiT, BEiT, MAE, Swin, Twins, XCiT, MViT, DaViT, HiViT, SegFormer'
    ),
    TokenKind('token_mix', 'norm1', ('norm1',), 'MLP-Mixer, which has no attention', is_output=True),
    TokenKind('outer_block', 'outer_block.attn', ('outer_block.norm_attn',), 'TNT, whose inner blocks see one patch'),
    TokenKind('block.qkv', 'block', ('block.qkv.linear', 'block.qkv'), 'LeViT'),
)


def token_sites(backbone: nn.Module) -> list[TokenSite]:
    """Sites of all blocks of a transformer that stand in lists, in the order of the backbone.

    A block is known by what it has, not by its class. What embeds the patches is no block, also where it has attention.
    """
    sites: list[TokenSite] = []
    for name, module in backbone.named_modules():
        in_list = any(part.isdigit() for part in name.split('.'))
        if in_list and not any(name.startswith(f'{site.block}.') for site in sites):
            sites.extend(_sites_of(name, module))
    return sites


def _sites_of(name: str, block: nn.Module) -> Iterator[TokenSite]:
    """The site of a block, none for any other module."""
    for kind in TOKEN_KINDS:
        width = next((width for path in kind.widths if (width := width_of(inner(block, path)))), None)
        if inner(block, kind.marker) is None or width is None:
            continue
        part = next(path for path, module in block.named_modules() if module is inner(block, kind.part))
        yield TokenSite(name, f'{name}.{part}', width, kind.is_output)
        return


def inner(block: nn.Module, path: str) -> nn.Module | None:
    """The module at a path, where properties count as names, None if there is none."""
    module: Any = block
    for name in path.split('.'):
        module = getattr(module, name, None)
        if not isinstance(module, nn.Module):
            return None
    return module


def width_of(module: nn.Module | None) -> int | None:
    """C of what a norm or a linear layer takes, None for any other module."""
    shape = getattr(module, 'normalized_shape', None)
    return int(shape[-1]) if shape else getattr(module, 'in_features', None)
