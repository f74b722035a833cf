"""Draws from an augmentation policy."""

import torch
from torch import Tensor

from .apply import Drawn
from .parts import Stage
from .policy import AugmentPolicy


class PolicySampler:
    """Draws what images get from a policy.

    Args:
        policy: to draw from.

    Shape:
        count -> :class:`Drawn` with indices and magnitudes (count, S), S being the slots of the longest sub-policy.
    """

    def __init__(self, policy: AugmentPolicy) -> None:
        self.policy = policy
        self.operations = policy.operations
        stages = [[stage for stage in sub.stages for _ in range(stage.repeat)] for sub in policy.sub_policies]
        self.slots = max(map(len, stages))
        size = max(len(stage.choices) for row in stages for stage in row)
        shape = (len(stages), self.slots, size)
        self._weights, self._probabilities = torch.zeros(shape), torch.zeros(shape)
        self._low, self._high = torch.zeros(shape), torch.zeros(shape)
        self._signed = torch.zeros(shape, dtype=torch.bool)
        self._operation = torch.full(shape, -1)
        self._weights[..., 0] = 1.0  # of slots that a shorter sub-policy does not have: nothing is drawn there
        for sub, row in enumerate(stages):
            for slot, stage in enumerate(row):
                self._fill_slot(sub, slot, stage)
        self._sub_weights = torch.tensor([sub.weight for sub in policy.sub_policies], dtype=torch.float32)

    def _fill_slot(self, sub: int, slot: int, stage: Stage) -> None:
        count = len(stage.choices)
        self._weights[sub, slot, :count] = torch.tensor([choice.weight for choice in stage.choices])
        for position, choice in enumerate(stage.choices):
            self._operation[sub, slot, position] = self.operations.index(choice.operation)
            self._low[sub, slot, position], self._high[sub, slot, position] = choice.bounds
            self._probabilities[sub, slot, position] = choice.probability
            self._signed[sub, slot, position] = choice.signed

    def __call__(self, count: int, generator: torch.Generator | None = None) -> Drawn:
        """Draw for ``count`` images; the random numbers are PyTorch's on the CPU, or a generator's."""
        if not count:
            return Drawn(self.operations, torch.empty(0, self.slots, dtype=torch.long), torch.empty(0, self.slots))

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        sub = torch.multinomial(self._sub_weights, count, replacement=True, generator=generator)
        weights = self._weights[sub].flatten(0, 1)  # (count * S, K)
        choice = torch.multinomial(weights, 1, generator=generator).view(count, self.slots, 1)

        def chosen(table: Tensor) -> Tensor:
            return table[sub].gather(2, choice).squeeze(2)

        low, high = chosen(self._low), chosen(self._high)
        magnitudes = low + (high - low) * uniform(count, self.slots)
        negative = chosen(self._signed) & (uniform(count, self.slots) < 0.5)
        magnitudes = torch.where(negative, -magnitudes, magnitudes)
        applied = uniform(count, self.slots) < chosen(self._probabilities)
        applied &= uniform(count, 1) < self.policy.probability
        return Drawn(self.operations, torch.where(applied, chosen(self._operation), -1), magnitudes)
