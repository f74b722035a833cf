"""The strengths of the operations of a cell."""

import torch
from torch import Tensor, nn

from .operation import Operation, draw_strength

STRENGTHS = ('fixed', 'learned')


class Strengths(nn.Module):
    """Base of a cell that draws one strength per operation, for all edges or for each edge.

    Attributes:
        fixed_strengths: (edges or 1, operations), a buffer, where they are not learned.
        strength_logits: of the same shape, a parameter, where they are: a sigmoid keeps them within their ranges.
    """

    operations: tuple[Operation, ...]
    strength_low: Tensor
    strength_span: Tensor
    fixed_strengths: Tensor

    def _init_strengths(self, strength: str, rows: int, generator: torch.Generator) -> None:
        if strength not in STRENGTHS:
            raise ValueError(f'strength must be one of {STRENGTHS}, got {strength!r}')
        drawn = torch.tensor(
            [[draw_strength(operation, generator) for operation in self.operations] for _ in range(rows)]
        )
        low = torch.tensor([operation.low for operation in self.operations])
        span = torch.tensor([operation.high for operation in self.operations]) - low
        self.register_buffer('strength_low', low, persistent=False)
        self.register_buffer('strength_span', span, persistent=False)
        self.strength_logits: nn.Parameter | None = None
        if strength == 'fixed':
            self.register_buffer('fixed_strengths', drawn)
        else:
            position = torch.where(span > 0, (drawn - low) / span.clamp(min=1e-12), torch.full_like(drawn, 0.5))
            self.strength_logits = nn.Parameter(torch.logit(position, eps=1e-4))

    def strengths(self) -> Tensor:
        """Strengths mu, (edges or 1, operations), in the operations' units."""
        if self.strength_logits is None:
            return self.fixed_strengths
        return self.strength_low + self.strength_span * torch.sigmoid(self.strength_logits)
