"""The door from a cell to its fast form."""

from typing import TYPE_CHECKING

from torch import Tensor

from mmdas.ops.warp_operator import WarpOperator

from ..operation import Size
from .linear_clip import build_narrow, build_operator, fits, is_linear, is_narrow, linear_clip
from .narrow_clip import NarrowOperators
from .size_cache import PATIENCE, SizeCache

if TYPE_CHECKING:
    from ..cell import DASCell

Operators = list[WarpOperator] | NarrowOperators


class CellOperators(SizeCache[Operators]):
    """Makes the clips of a cell of affine warps by sparse operators, one per row of its strengths."""

    def clip(self, cell: 'DASCell', images: Tensor, size: Size | None = None) -> Tensor | None:
        """Clip (B, T*C, H, W) of images (B, C, H, W); None where the plain loop is the way."""
        operators = self._find(cell, images, images.shape[-2:] if size is None else size)
        if operators is None:
            return None
        positions = cell.present_edges()
        edges, weights = [cell.edges[position] for position in positions], cell.pass_weights()[positions]
        if isinstance(operators, NarrowOperators):
            operators = operators.of_edges(positions)
        elif not cell.share_strength:
            operators = [operators[position] for position in positions]
        return linear_clip(
            images, operators, edges, weights, cell.num_nodes, cell.num_frames, reduction=cell.node_reduction
        )

    def _find(self, cell: 'DASCell', images: Tensor, size: Size) -> Operators | None:
        learned = cell.strength_logits is not None
        if learned or images.dtype != cell.logits.dtype or not is_linear(cell.operations):
            return None
        num_taps = sum(1 if operation.is_identity else 4 for operation in cell.operations)
        if not fits(images, num_taps * len(cell.fixed_strengths), cell.num_frames):
            return None
        strengths, narrow = cell.fixed_strengths.tolist(), not cell.share_strength and is_narrow(images)

        def build() -> Operators:
            maps = build_narrow(cell.transform, cell.operations, strengths, images, size) if narrow else None
            if maps is not None:
                return maps
            return [build_operator(cell.transform, cell.operations, row, images, size) for row in strengths]

        # Crops of a search have one size, a trial of its selection included; images of a validation may all differ.
        patience = 0 if cell.training or cell.in_trial else PATIENCE
        key = (images.shape[-2:], size, cell.reference_size, images.dtype, str(strengths), narrow)
        return self.get(key, build, patience)
