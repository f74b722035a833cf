"""How a model hands the warps of a batch's frames to the fusions that align them."""

from typing import Any

from torch import nn

from mmdas.search.das.alignment import FUSION
from mmdas.search.das.operation import Size

from .data_preprocessors import ImageToClip
from .fusion import FrameFusion


def aligned_fusions(model: nn.Module) -> list[FrameFusion]:
    """The fusions of a model that take features of other frames in a frame's own coordinates."""
    return [module for module in model.modules() if isinstance(module, FrameFusion) and module.aligned]


def check_alignable(model: Any) -> None:
    """Check that the frames of a model's clips can be aligned, where a fusion does.

    Raises:
        ValueError: if the data preprocessor makes no clips, or frames have no single warp each; with the remedy.
    """
    if not aligned_fusions(model):
        return
    preprocessor = model.data_preprocessor
    if not isinstance(preprocessor, ImageToClip):
        raise ValueError(
            f'{FUSION.name} needs the warps of the frames, but the data preprocessor {type(preprocessor).__name__} has '
            f'none; use mmdas.DASClsDataPreprocessor or mmdas.DASSegDataPreProcessor, or {FUSION.remedy}'
        )
    if preprocessor.image_to_clip is not None:
        preprocessor.image_to_clip.check_alignable(FUSION)


def hand_over_warps(model: Any, canvas: Size, batch: int) -> None:
    """Tell the aligned fusions how the frames of the latest clips lie to each other.

    Args:
        model: with the data preprocessor that made the clips.
        canvas: (H, W) of the clips.
        batch: their number; other clips than the latest, as of a call with tensors, count as without padding.
    """
    fusions = aligned_fusions(model)
    if not fusions:
        return
    sizes = model.data_preprocessor.sizes_now
    whole = (int(canvas[0]), int(canvas[1]))  # which tracing has as tensors
    alignment = model.data_preprocessor.alignment(whole, sizes if sizes and len(sizes) == batch else None)
    for fusion in fusions:
        fusion.alignment = alignment
