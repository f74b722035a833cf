"""The label maps of samples as one tensor, and back."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from torch import Tensor


def map_names(samples: Sequence) -> list[str]:
    """Fields of the first sample that are maps."""
    fields = dict(samples[0].items()) if samples else {}
    return sorted(name for name, value in fields.items() if isinstance(value, PixelData))


def stack_maps(name: str, samples: Sequence, canvas: tuple, who: str) -> Tensor:
    """A field of all samples, (B, 1, H, W).

    Args:
        name: of the field.
        samples: of a batch.
        canvas: (H, W) of the images.
        who: asks for it, for the message.

    Raises:
        ValueError: for maps of another size than the images.
    """
    found = [sample.get(name) for sample in samples]
    shapes = [None if value is None else tuple(value.data.shape[-2:]) for value in found]
    if set(shapes) != {tuple(canvas)}:
        raise ValueError(f'{who}: {name} of the samples is of sizes {shapes}, the images are of {tuple(canvas)}')
    return torch.stack([value.data for value in found])


def with_maps(samples: Sequence, maps: dict[str, Tensor]) -> list:
    """New samples with other maps."""
    made = []
    for place, sample in enumerate(samples):
        fields: dict[str, Any] = {name: sample.get(name).new(data=stacked[place]) for name, stacked in maps.items()}
        made.append(sample.new(**{**dict(sample.items()), **fields}))
    return made
