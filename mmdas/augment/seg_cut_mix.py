"""CutMix for segmentation."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from torch import Tensor

from mmdas.registry import AUGMENTS

from .content import content_sizes
from .cut_mix import draw_cuts


@AUGMENTS.register_module()
class SegCutMix:
    """Give images a box of another image of their batch, with its labels (CutMix, Yun et al., ICCV 2019).

    All maps of a sample move with the pixels, so that no label is mixed. A label that does not count moves as any
    other. A box lies in the contents of both images: padding is neither cut out nor covered.

    Args:
        probability: that an image gets a box, in [0, 1]. Default: 0.5.
        beta: > 0; the part of an image that stays its own has the distribution Beta(beta, beta). Default: 1, uniform.

    Shape:
        images (B, C, H, W), and samples with label maps (1, H, W) -> the same, new ones. A batch of one stays.

    Raises:
        ValueError: for another probability or beta; in a call for samples without label maps of the images' size.
    """

    def __init__(self, probability: float = 0.5, beta: float = 1.0) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f'probability of SegCutMix must be in [0, 1], got {probability}')
        if beta <= 0:
            raise ValueError(f'beta of SegCutMix must be above 0, got {beta}')
        self.probability = probability
        self.beta = beta

    def __call__(self, images: Tensor, samples: Sequence | None) -> tuple[Tensor, list]:
        """Images and samples with boxes of others."""
        samples, canvas = list(samples or ()), (images.shape[-2], images.shape[-1])
        maps = {name: self._stack(name, samples, canvas) for name in self._names(samples)}
        sizes = content_sizes(samples, canvas) or [canvas] * len(samples)
        cuts = draw_cuts(sizes, canvas, self.probability, self.beta)
        return cuts(images), with_maps(samples, {name: cuts(stacked) for name, stacked in maps.items()})

    @staticmethod
    def _names(samples: Sequence) -> list[str]:
        """Fields of the first sample that are maps."""
        fields = dict(samples[0].items()) if samples else {}
        found = [name for name, value in fields.items() if isinstance(value, PixelData)]
        if not found:
            raise ValueError(
                f'SegCutMix moves label maps, but the samples have {sorted(fields) or "no field"}; for classification '
                "take MMPretrain's: data_preprocessor.batch_augments=dict(augments=dict(type='CutMix', alpha=1.0))"
            )
        return found

    @staticmethod
    def _stack(name: str, samples: Sequence, canvas: tuple) -> Tensor:
        """A field of all samples, (B, 1, H, W)."""
        found = [sample.get(name) for sample in samples]
        shapes = [None if value is None else tuple(value.data.shape[-2:]) for value in found]
        if set(shapes) != {canvas}:
            raise ValueError(f'SegCutMix: {name} of the samples is of sizes {shapes}, the images are of {canvas}')
        return torch.stack([value.data for value in found])


def with_maps(samples: Sequence, maps: dict[str, Tensor]) -> list:
    """New samples with other maps."""
    made = []
    for place, sample in enumerate(samples):
        fields: dict[str, Any] = {name: sample.get(name).new(data=stacked[place]) for name, stacked in maps.items()}
        made.append(sample.new(**{**dict(sample.items()), **fields}))
    return made
