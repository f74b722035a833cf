"""CutMix for segmentation."""

from collections.abc import Sequence

from torch import Tensor

from mmdas.registry import AUGMENTS

from .checks import check_positive, check_share
from .content import content_sizes
from .cut_mix import draw_cuts
from .label_maps import map_names, stack_maps, with_maps


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
        check_share(probability, 'probability of SegCutMix')
        check_positive(beta, 'beta of SegCutMix')
        self.probability = probability
        self.beta = beta

    def __call__(self, images: Tensor, samples: Sequence | None) -> tuple[Tensor, list]:
        """Images and samples with boxes of others."""
        samples, canvas = list(samples or ()), (images.shape[-2], images.shape[-1])
        maps = {name: stack_maps(name, samples, canvas, 'SegCutMix') for name in self._names(samples)}
        sizes = content_sizes(samples, canvas) or [canvas] * len(samples)
        cuts = draw_cuts(sizes, canvas, self.probability, self.beta)
        return cuts(images), with_maps(samples, {name: cuts(stacked) for name, stacked in maps.items()})

    @staticmethod
    def _names(samples: Sequence) -> list[str]:
        """Fields of the first sample that are maps."""
        found = map_names(samples)
        if not found:
            fields = sorted(dict(samples[0].items())) if samples else []
            raise ValueError(
                f'SegCutMix moves label maps, but the samples have {fields or "no field"}; for classification '
                "take data_preprocessor.augments=[dict(type='mmdas.CutMix')]"
            )
        return found
