"""Numbers that are not finite: a run that goes on from them is lost."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class NotFiniteError(FloatingPointError):
    """A loss, weight or logit that is NaN or infinite."""


def check_finite(values: Mapping[str, Any], consequence: str) -> None:
    """Check that the floating-point tensors and numbers of a dict are finite.

    Args:
        values: name -> tensor or number; what else it holds is passed over.
        consequence: what follows, for the message.

    Raises:
        NotFiniteError: naming the first that is not.
    """
    tensors = {name: value for name, value in values.items() if _is_floating(value)}
    if not tensors:
        return
    # one look at the device for all of them: the sum of zeros is not finite where a value is not
    device = next((value.device for value in tensors.values() if isinstance(value, Tensor)), None)
    parts = [_nothing(value, device) for value in tensors.values()]
    if torch.stack(parts).sum().item() == 0.0:
        return
    name, value = next((name, value) for name, value in tensors.items() if not _is_finite(value))
    raise NotFiniteError(f'{name} is {_describe(value)}: {consequence}')


def _is_floating(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 0)


def _nothing(value: Any, device: torch.device | None) -> Tensor:
    """0 of a finite value, NaN otherwise."""
    tensor = value.detach() if isinstance(value, Tensor) else torch.tensor(value)
    return (tensor * 0).sum(dtype=torch.float32).to(device)


def _is_finite(value: Any) -> bool:
    return bool(torch.isfinite(value).all()) if isinstance(value, Tensor) else math.isfinite(value)


def _describe(value: Any) -> str:
    if not isinstance(value, Tensor):
        return str(value)
    if value.numel() == 1:
        return str(value.item())
    bad = int((~torch.isfinite(value)).sum())
    return f'not finite in {bad} of {value.numel()} values'
