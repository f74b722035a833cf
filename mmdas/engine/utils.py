"""Helpers that the parts of the engine share."""

from mmengine.model import is_model_wrapper
from torch import nn

from mmdas.cell import DASCell


def unwrap(model: nn.Module) -> nn.Module:
    """The model itself, without a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def find_cell(model: nn.Module) -> DASCell:
    """The relaxed cell of a model's data preprocessor.

    Raises:
        ValueError: if there is none, so that a search has nothing to search.
    """
    cell = getattr(getattr(unwrap(model), 'data_preprocessor', None), 'cell', None)
    if cell is None:
        raise ValueError(
            'a search needs model.data_preprocessor of type mmdas.DASSegDataPreProcessor or '
            "mmdas.DASClsDataPreprocessor with cell=dict(type='mmdas.DASCell', ...)"
        )
    return cell
