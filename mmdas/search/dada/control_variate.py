"""The control variate of DADA (Li et al., ECCV 2020, Sec. 3.3)."""

from torch import Tensor, nn


class ControlVariate(nn.Module):
    """A network of one hidden layer from relaxed draws in [0, 1] to a number.

    Its last layer starts at zero: the first estimates are those of REINFORCE, not those of a random function.

    Args:
        inputs: numbers of a draw.
        hidden: width of the hidden layer. Default: 100.

    Shape:
        (..., inputs) -> (...).
    """

    def __init__(self, inputs: int, hidden: int = 100) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, hidden), nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, draw: Tensor) -> Tensor:
        return self.last(self.first(2 * draw - 1).tanh()).squeeze(-1)
