"""Values of small buffers on the host, without a wait for the device in every step."""

from torch import Tensor


class HostCopy:
    """List of a buffer's values that is read again only after the buffer has changed.

    A copy of it, as of a copied module, starts empty.
    """

    def __init__(self) -> None:
        self._buffer: Tensor | None = None
        self._version = -1
        self._values: list = []

    def read(self, buffer: Tensor) -> list:
        """``buffer.tolist()``."""
        if buffer is not self._buffer or buffer._version != self._version:  # the version counts changes in place
            self._buffer, self._version, self._values = buffer, buffer._version, buffer.tolist()
        return self._values

    def __reduce__(self) -> tuple:
        return HostCopy, ()
