"""The inferencer of MMPretrain's classification."""

from typing import Any

from mmpretrain import ImageClassificationInferencer

from mmdas.registry import INFERENCERS

from .named_results import NamedResults


@INFERENCERS.register_module()
class NamedClsInferencer(NamedResults, ImageClassificationInferencer):
    """``ImageClassificationInferencer`` whose pictures are named by their images.

    Args:
        model: a config.
        weights: path of the checkpoint.
        others: as of the parent.
    """

    PICTURES = 'show_dir'

    def __init__(self, model: Any, weights: str, **others: Any) -> None:
        super().__init__(model, pretrained=weights, **others)
