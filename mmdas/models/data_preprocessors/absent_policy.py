"""A policy whose file is not there."""

from pathlib import Path

from torch import Tensor, nn

from mmdas.search.das.operation import Size


class AbsentPolicy(nn.Module):
    """Stand in for a policy whose file is absent until a checkpoint brings its own.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: in ``forward``, if no checkpoint came.
    """

    operations = ()  # none that is known yet
    grows_with_image = False
    reference_size: Size | None = None

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = path

    def forward(self, images: Tensor, seldom: bool = False) -> Tensor:
        raise FileNotFoundError(
            f'no policy at {self.path}, and no checkpoint brought its own; run its search first, or name a policy by '
            '--policy FILE'
        )

    def check_alignable(self, use: object = None) -> None:
        """There is nothing to check yet."""

    def extra_repr(self) -> str:
        return str(self.path)
