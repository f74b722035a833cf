"""Values of small buffers on the host, without a wait for the device in every step."""

import torch
from torch import Tensor


class HostCopy:
    """List of a buffer's values that is read again from a device only after the buffer has changed.

    Changes through ``.data``, as by averaged models, leave no trace: make a new copy where a model changes its mode. A
    copy of it, as of a copied module, starts empty.
    """

    def __init__(self) -> None:
        self._state: tuple[Tensor, int] | None = None
        self._values: list = []

    def read(self, buffer: Tensor) -> list:
        """``buffer.tolist()`` of a buffer (N,)."""
        if torch._C._are_functorch_transforms_active():  # in which `tolist` finds no storage, torch 2.6.0 to 2.9.1
            return [value.item() for value in buffer]
        if buffer.device.type == 'cpu' or buffer.is_inference():
            return buffer.tolist()
        # The version counts changes in place; the buffer itself tells whether it was replaced.
        if self._state is None or buffer is not self._state[0] or buffer._version != self._state[1]:
            self._state, self._values = (buffer, buffer._version), buffer.tolist()
        return self._values

    def __reduce__(self) -> tuple:
        return HostCopy, ()
