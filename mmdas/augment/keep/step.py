"""What the augments of KeepAugment share: which images, and where in them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmdas.augment.checks import check_share
from mmdas.augment.content import content_sizes
from mmdas.ops.keep import draw_regions

from .scores import has_maps
from .sources import SaliencySource, build_source

QUANTILE = 0.6


class KeepStep:
    """A step on batches that asks the network which regions of an image matter (Gong et al., CVPR 2021).

    The network is the one that is trained, as it is at this iteration. Only the images that are drawn are looked at.

    Args:
        quantile: of the importance of all regions of a size in an image, in [0, 1], which parts the regions that matter
            from the others. Default: 0.6, as recalled from the paper.
        probability: that an image is drawn, in [0, 1]. Default: 1.
        saliency: ``'full'`` (default), ``'low'`` or ``'early'``, or a dict of such a ``type`` and options of
            :class:`NetworkSaliency` or :class:`EarlySaliency`.

    Raises:
        ValueError: for numbers out of range, or another saliency; in a call before :meth:`use_model`.
    """

    above: ClassVar[bool]  # whether regions that matter are taken, or the others

    def __init__(
        self,
        quantile: float = QUANTILE,
        probability: float = 1.0,
        saliency: str | Mapping | SaliencySource = 'full',
    ) -> None:
        for name, value in (('quantile', quantile), ('probability', probability)):
            check_share(value, f'{name} of {type(self).__name__}')
        self.quantile, self.probability = quantile, probability
        self.source = build_source(saliency)
        self._ready = False

    @property
    def learns(self) -> bool:
        """Whether the saliency learns along with the model."""
        return self.source.learns

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained.

        Raises:
            ValueError: for a model without logits of classes.
        """
        self.source.use_model(model)
        self._ready = True

    def state_dict(self) -> dict[str, Any]:
        """What the saliency has learned; mostly empty."""
        return self.source.state_dict() if hasattr(self.source, 'state_dict') else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`, after :meth:`use_model`."""
        if hasattr(self.source, 'load_state_dict'):
            self.source.load_state_dict(state)

    def begin(self, images: Tensor, samples: Any) -> tuple[list, tuple[int, int], Tensor]:
        """The samples of a batch as a list, (H, W) of its images, and the places in it of those that are drawn, (N,).

        Raises:
            ValueError: before :meth:`use_model`, or without samples.
        """
        self._check(samples)
        places = (torch.rand(len(images)) < self.probability).nonzero()[:, 0]
        return list(samples), (images.shape[-2], images.shape[-1]), places

    def draw_boxes(self, images: Tensor, samples: Sequence, places: Tensor, sizes: Tensor, contents: Tensor) -> Tensor:
        """A region of each image that is drawn.

        Args:
            images: (B, C, H, W).
            samples: of the batch.
            places: (N,), of the images that are drawn.
            sizes: (N, 2), of the regions.
            contents: (N, 2), in which they lie.

        Returns:
            (B, 1, H, W), bool; empty for images that are not drawn.
        """
        boxes = torch.zeros(len(images), 1, *images.shape[-2:], dtype=torch.bool, device=images.device)
        seen = places if len(places) or not self.source.learns else torch.arange(1)
        if len(seen):
            saliency = self.source(images[seen.to(images.device)], [samples[place] for place in seen.tolist()])
        if len(places):
            found = draw_regions(saliency, sizes, contents, self.quantile, self.above)
            boxes[places.to(images.device)] = found
        return boxes

    def _check(self, samples: Any) -> None:
        if not self._ready:
            raise ValueError(
                f'{type(self).__name__} does not know the model; the tools add mmdas.AugmentHook, which calls '
                'model.data_preprocessor.augments.use_model(model) before a training (for a picture take '
                'tools/visualization/keep_augment.py)'
            )
        if not samples:
            raise ValueError(f'{type(self).__name__} needs the labels of its images, but the batch has no samples')


def content_sides(samples: Sequence, canvas: tuple[int, int]) -> Tensor:
    """Sides of the contents of a batch, (B, 2); what pads images of segmentation is none."""
    found = content_sizes(samples, canvas) if has_maps(samples) else None
    return torch.tensor(found or [canvas] * len(samples))
