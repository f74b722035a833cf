"""Operations that are networks: their weights stay as they are, move with the clip and are saved with it."""

import copy
from collections.abc import Iterable
from dataclasses import replace

from torch import nn

from .operation import Operation


class OperationWeights(nn.Module):
    """The modules among the functions of operations, in evaluation mode whatever the mode of the model."""

    def train(self, mode: bool = True) -> 'OperationWeights':
        """Stay in evaluation mode."""
        return super().train(False)


def with_weights_of_their_own(operations: Iterable[Operation]) -> tuple[list[Operation], OperationWeights]:
    """Copy the modules among the functions of operations, so that a model moves and loads none but its own.

    Args:
        operations: rows of the table. Several of one name share one copy.

    Returns:
        The operations with their copies, and the module that holds these: ``of_NAME`` for the operation NAME, without
        gradients for their parameters.
    """
    weights, made = OperationWeights().eval(), []
    for operation in operations:
        if isinstance(operation.function, nn.Module):
            name = f'of_{operation.name}'
            if not hasattr(weights, name):
                weights.add_module(name, copy.deepcopy(operation.function).requires_grad_(False).eval())
            operation = replace(operation, function=getattr(weights, name))
        made.append(operation)
    return made, weights
