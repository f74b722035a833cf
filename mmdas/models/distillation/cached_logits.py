"""What teachers have said of the images of a training set, once for all steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .error import DistillationError


class CachedLogits:
    """The logits of each image, by the number that its data set gives it.

    Args:
        table: (N, K) on the CPU, row n of the image whose ``sample_idx`` is n.
    """

    def __init__(self, table: Tensor) -> None:
        self.table = table

    def __call__(self, samples: Sequence) -> Tensor:
        """Logits (B, K) of a batch, on the CPU.

        Args:
            samples: with ``sample_idx``, as ``PackInputs`` of MMPretrain leaves it.

        Raises:
            DistillationError: for a sample without a number, or one that the table does not have.
        """
        numbers: list[Any] = [getattr(sample, 'sample_idx', None) for sample in samples]
        if any(number is None for number in numbers):
            raise DistillationError(
                'cached logits of the teacher are found by the sample_idx of an image, which these samples lack; leave '
                "'sample_idx' in meta_keys of PackInputs of the training's pipeline, or leave out --cache (cache=True "
                'of mmdas.DistillHook)'
            )
        if max(numbers) >= len(self.table):
            raise DistillationError(
                f'there are cached logits of {len(self.table)} images, and a sample has sample_idx={max(numbers)}; '
                'the data set has grown in the training'
            )
        return self.table[torch.tensor(numbers)].float()
