"""Hooks by which the modules of a host call the fusion.

They are objects and not closures: a deep copy of the backbone then holds hooks that call the copied modules.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .token_grid import TokenGrid, grid_in
from .token_placement import TokenSite


class _FuseMaps:
    """Passes the input or the output of a convolution through a fusion module."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def fuse(self, x: Tensor) -> Tensor:
        return self.module(x)


class _FuseTokens(_FuseMaps):
    """Passes tokens (B*T, L, C) through a fusion module, as maps (B*T, C, h, w).

    A fusion that looks at its neighbours in space (``FrameFusion.spatial``) sees the grid of the tokens; those of no
    place, such as that of the class, pass as they are. Any other sees all tokens, as maps of one column.

    Args:
        module: the fusion.
        grid: of the backbone.
        place: path of the module that is hooked, for messages.
    """

    def __init__(self, module: nn.Module, grid: TokenGrid, place: str) -> None:
        super().__init__(module)
        self.grid, self.place = grid, place
        self.told: tuple[int, int] | None = None  # the grid of the latest call of the block

    def fuse(self, x: Tensor) -> Tensor:
        self.grid.check(x, self.place)
        length = x.shape[1]
        size = (length, 1)
        if getattr(self.module, 'spatial', True):
            size = self.grid.of(length, self.told, self.place)
        extra = length - size[0] * size[1]
        maps = x[:, extra:].transpose(1, 2).unflatten(2, size)  # (B*T, C, h, w)
        fused = self.module(maps).flatten(2).transpose(1, 2)
        # The layout of the plain backbone, so that what follows rounds equally.
        return torch.cat([x[:, :extra], fused], dim=1) if extra else fused.contiguous()


class _Hook:
    def __init__(self, fusion: _FuseMaps) -> None:
        self.fusion = fusion


class _OnInput(_Hook):
    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.fusion.fuse(inputs[0]), *inputs[1:]


class _OnOutput(_Hook):
    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return self.fusion.fuse(output)


class _ReadBlock:
    """Notes the grid that a block is called with, for its own tokens: a checkpointed block runs its inside again."""

    def __init__(self, fusion: _FuseTokens) -> None:
        self.fusion = fusion

    def __call__(self, block: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.fusion.told = grid_in(inputs)


class _ReadEmbedding:
    """Notes the grid that the embedding of the patches returns."""

    def __init__(self, grid: TokenGrid) -> None:
        self.grid = grid

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.grid.embedded = grid_in(output) or self.grid.embedded


def fuse_maps(conv: nn.Module, module: nn.Module, is_output: bool) -> None:
    """Let a convolution pass its input or output through a fusion."""
    _register(conv, _FuseMaps(module), is_output)


def fuse_tokens(host: nn.Module, site: TokenSite, module: nn.Module, grid: TokenGrid) -> None:
    """Let a module of a transformer's block pass its tokens through a fusion."""
    fusion = _FuseTokens(module, grid, site.part)
    host.get_submodule(site.block).register_forward_pre_hook(_ReadBlock(fusion))
    _register(host.get_submodule(site.part), fusion, site.is_output)


def read_embedding(host: nn.Module, sites: Sequence[TokenSite], grid: TokenGrid) -> None:
    """Let the parts of a transformer without blocks tell the grid that they return."""
    with_blocks = {site.block.split('.')[0] for site in sites}
    for name, child in host.named_children():
        if name not in with_blocks:
            child.register_forward_hook(_ReadEmbedding(grid))


def _register(module: nn.Module, fusion: _FuseMaps, is_output: bool) -> None:
    if is_output:
        module.register_forward_hook(_OnOutput(fusion))
    else:
        module.register_forward_pre_hook(_OnInput(fusion))
