"""What the operations of a user do to a small image, as numbers that travel with the weights.

A checkpoint knows operations by their names. Those of mmdas stay what they are, but a user may have changed a function
since the training.
"""

import copy
from typing import Any

import torch
from torch import nn

from mmdas.search.das import OPERATIONS, Operation, PolicyClip
from mmdas.search.das.operation_table import BUILT_IN

SIZE = (24, 32)
STEP = 12  # pixels between those that are looked at
OF_MMDAS = {operation.name for operation in BUILT_IN}
CLOSE = 2e-3  # half a step of eight bits

Samples = dict[str, list[float]]  # name -> colours


def samples_of(clip: PolicyClip) -> Samples:
    """Colours of a small image after each operation of a policy that mmdas itself does not have."""
    rows = {edge: row for edge, row in zip(clip.edges, clip.operations, strict=True) if row.name not in OF_MMDAS}
    in_order = sorted(rows, key=lambda edge: (edge.target, edge.source))  # whatever the order in the file
    return {edge.operation: sample(rows[edge], edge.strength) for edge in in_order}


def sample(operation: Operation, strength: float) -> list[float]:
    """Some colours of a small image after an operation, as of a frame one step behind the reference frame.

    None of an operation that draws random numbers: they may differ between machines.
    """
    if operation.random:
        return []
    height, width = SIZE
    y, x = torch.linspace(0, 1, height)[:, None].expand(SIZE), torch.linspace(0, 1, width).expand(SIZE)
    texture = (torch.arange(height * width) * 0.618 % 1).view(SIZE)
    magnitude = operation.magnitude(torch.tensor(strength), torch.ones(1))
    with torch.no_grad():
        result = _on_cpu(operation)(torch.stack([x, y, texture])[None], magnitude)
    return [round(value, 4) for value in result[0, :, STEP // 2 :: STEP, STEP // 2 :: STEP].flatten().tolist()]


def _on_cpu(operation: Operation) -> Any:
    """The function of an operation; a network that has moved with its model in the place and precision of the image."""
    function: Any = operation.function
    if not isinstance(function, nn.Module):
        return function
    tensors = [*function.parameters(), *function.buffers()]
    if any(tensor.is_meta for tensor in tensors):  # a model without memory, whose network is that of the table
        function = OPERATIONS[operation.name].function
    return copy.deepcopy(function).to('cpu', torch.float32).eval()


def as_now(then: Samples, now: Samples) -> Samples:
    """The samples of a training, those of today where an operation does what it did, but for rounding errors."""
    return {name: now[name] if name in now and agree(values, now[name]) else values for name, values in then.items()}


def agree(values: list[float], others: list[float]) -> bool:
    """Whether two samples are of one function."""
    return len(values) == len(others) and all(abs(a - b) <= CLOSE for a, b in zip(values, others, strict=True))
