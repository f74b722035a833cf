"""CutMix that covers only what matters little."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Beta

from mmdas.augment.checks import check_positive
from mmdas.augment.cut_mix import Cuts
from mmdas.augment.label_maps import map_names, stack_maps, with_maps
from mmdas.augment.label_mixer import with_score
from mmdas.registry import AUGMENTS

from .network import Network
from .scores import class_weights, has_maps
from .sizes import sides
from .sources import SaliencySource
from .step import QUANTILE, KeepStep, content_sides


@AUGMENTS.register_module()
class KeepCutMix(KeepStep):
    """Cover a region that matters little with that of another image in the same place (Gong et al., CVPR 2021).

    The area is that of CutMix (Yun et al., ICCV 2019): a share 1 - lambda with lambda of Beta(beta, beta). The region
    lies within the contents of both images. Its position is uniform among those whose importance in the image that is
    covered is at most the quantile.

    Classification: labels become ``gt_score``, mixed by the areas, as MMPretrain's CutMix does; ``cal_acc`` of the head
    must be False. Segmentation: all label maps move with the pixels.

    Args:
        beta: > 0. Default: 1, uniform.
        quantile, probability, saliency: see :class:`KeepStep`. Default of ``probability``: 0.5.

    Shape:
        images (B, C, H, W) and samples -> the same, new ones. A batch of one stays.

    Raises:
        ValueError: for settings out of range; in a call for samples without labels.
    """

    above = False
    mixes_labels = True  # a chain takes one of these

    def __init__(
        self,
        beta: float = 1.0,
        quantile: float = QUANTILE,
        probability: float = 0.5,
        saliency: str | Mapping | SaliencySource = 'full',
    ) -> None:
        super().__init__(quantile, probability, saliency)
        check_positive(beta, 'beta of KeepCutMix')
        self.beta = beta
        self._network: Any = None

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained.

        Raises:
            ValueError: for a model without logits of classes, or whose head counts right answers to mixed labels.
        """
        super().use_model(model)
        self._network = Network(model)
        if getattr(self._network.head, 'cal_acc', False):
            raise ValueError('KeepCutMix mixes labels, to which there is no right answer; set head.cal_acc=False')

    def __call__(self, images: Tensor, samples: Any) -> tuple[Tensor, Any]:
        """Images and samples with regions of others."""
        samples, canvas, places = self.begin(images, samples)
        count = len(images)
        places = places if count > 1 else places[:0]
        partners = torch.arange(count)
        partners[places] = (places + torch.randint(1, max(count, 2), places.shape)) % count
        contents = content_sides(samples, canvas)
        shared = torch.minimum(contents, contents[partners])[places]
        sizes = self._draw_sizes(shared)
        cuts = Cuts(partners, self.draw_boxes(images, samples, places, sizes, shared))
        return cuts(images), self._label(samples, cuts, canvas)

    def _draw_sizes(self, contents: Tensor) -> Tensor:
        beta = torch.tensor(self.beta, dtype=torch.float64)
        share = (1 - Beta(beta, beta).sample((len(contents),))).sqrt()
        return sides(share[:, None].expand(-1, 2), contents)

    def _label(self, samples: list, cuts: Cuts, canvas: tuple[int, int]) -> list:
        if has_maps(samples):
            maps = {name: stack_maps(name, samples, canvas, 'KeepCutMix') for name in map_names(samples)}
            return with_maps(samples, {name: cuts(stacked) for name, stacked in maps.items()})
        scores = torch.stack([class_weights(sample, self._network.num_classes) for sample in samples])
        mixed = mixed_scores(scores, cuts)
        return [with_score(sample, score) for sample, score in zip(samples, mixed, strict=True)]


def mixed_scores(scores: Tensor, cuts: Cuts) -> Tensor:
    """Scores (B, K) of images -> those of the mixed ones, by the share of the area that each has."""
    other = cuts.boxes.to(scores).mean((1, 2, 3))[:, None]
    return torch.lerp(scores, scores[cuts.partners.to(scores.device)], other)
