"""Any augmentation that leaves alone what matters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.augment.label_maps import map_names, stack_maps, with_maps
from mmdas.augment.label_mixer import LabelMixer
from mmdas.augment.policy_augment import PolicyAugment
from mmdas.augment.seg_cut_mix import SegCutMix
from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AugmentOperation, AugmentPolicy
from mmdas.search.augmentation.apply import IGNORE_INDEX
from mmdas.search.das import Pixels

from .sizes import RegionSizes
from .sources import SaliencySource
from .step import QUANTILE, KeepStep, content_sides


@AUGMENTS.register_module()
class KeepPaste(KeepStep):
    """Augment images, then paste a region that matters back from the clean image (Gong et al., CVPR 2021).

    The region is pasted at the place where it is in the clean image, whatever the augmentation has moved. Its position
    is uniform among those whose importance in the clean image is at least the quantile. Label maps of segmentation are
    pasted with the pixels.

    Args:
        policy: of the augmentation: a file, its content as a dict, or an :class:`AugmentPolicy`, as of
            :class:`mmdas.augment.PolicyAugment`; or another step, or its config with a ``type``, that changes each
            image for itself.
        size: side of the region as a share of the content's, in (0, 1], or two numbers to draw from. Default: 0.5.
        aspect: height over width of the region relative to the content's, or two numbers to draw from. Default: 1.
        ignore_index: of a policy, the label of the places that no pixel comes to. Default: 255.
        quantile, probability, saliency: see :class:`KeepStep`. All images are augmented; those that are drawn get a
            region back.

    Shape:
        images (B, C, H, W), normalised, and samples -> the same, new ones.

    Raises:
        ValueError: for settings out of range, or a step that mixes images or is searched.
        PolicyError: if the policy is no augmentation policy.
    """

    above = True

    def __init__(
        self,
        policy: Any,
        size: float | Sequence[float] = 0.5,
        aspect: float | Sequence[float] = 1.0,
        ignore_index: int = IGNORE_INDEX,
        quantile: float = QUANTILE,
        probability: float = 1.0,
        saliency: str | Mapping | SaliencySource = 'full',
    ) -> None:
        super().__init__(quantile, probability, saliency)
        self.sizes = RegionSizes(size, aspect, 'KeepPaste')
        self.step = build_step(policy, ignore_index)
        if hasattr(self.step, 'ignore_index'):
            self.ignore_index = self.step.ignore_index

    @property
    def operations(self) -> list[AugmentOperation]:
        """Those of the augmentation."""
        return list(getattr(self.step, 'operations', ()))

    def use_pixels(self, pixels: Pixels) -> None:
        """Tell the augmentation what stands between the images of a batch and colours."""
        if hasattr(self.step, 'use_pixels'):
            self.step.use_pixels(pixels)

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained."""
        super().use_model(model)
        if hasattr(self.step, 'use_model'):
            self.step.use_model(model)

    def __call__(self, images: Tensor, samples: Any) -> tuple[Tensor, Any]:
        """Augmented images and samples with regions of the clean ones."""
        samples, canvas, places = self.begin(images, samples)
        contents = content_sides(samples, canvas)[places]
        boxes = self.draw_boxes(images, samples, places, self.sizes(contents), contents)
        changed, moved = self.step(images, samples)
        maps = {}
        for name in map_names(samples):
            clean, augmented = (stack_maps(name, found, canvas, 'KeepPaste') for found in (samples, moved))
            maps[name] = torch.where(boxes.to(clean.device), clean, augmented)
        return torch.where(boxes, images, changed), with_maps(moved, maps) if maps else moved


def build_step(policy: Any, ignore_index: int = IGNORE_INDEX) -> Any:
    """The augmentation that a policy or a config names.

    Raises:
        ValueError: for a step that mixes images or is searched, or that cannot be called.
    """
    if isinstance(policy, (str, Path, AugmentPolicy)) or (isinstance(policy, Mapping) and 'type' not in policy):
        return PolicyAugment(policy, ignore_index)
    step: Any = AUGMENTS.build(dict(policy)) if isinstance(policy, Mapping) else policy
    if not callable(step):
        raise ValueError(f'policy of KeepPaste must be an augmentation policy or a step on batches, got {policy!r}')
    if hasattr(step, 'searchable') or isinstance(step, (KeepStep, LabelMixer, SegCutMix)):
        raise ValueError(
            f'policy of KeepPaste is a {type(step).__name__}, expected an augmentation that is fixed and changes each '
            'image for itself, such as a file of a policy'
        )
    return step
