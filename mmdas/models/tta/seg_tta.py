"""Test-time augmentation of segmentors whose head has one output channel."""

from collections.abc import Sequence

import torch
from mmseg.models import SegTTAModel as HostSegTTAModel
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList

from mmdas.registry import MODELS


@MODELS.register_module()
class SegTTAModel(HostSegTTAModel):
    """MMSegmentation's ``SegTTAModel``, right for heads with one output channel too.

    The segmentor has taken the sigmoid of a single channel when its prediction comes here. MMSegmentation's takes it
    again, so that every probability is above one half and nearly all pixels become foreground. This one compares the
    mean of the probabilities with the head's ``threshold``. Heads with a channel per class are left to MMSegmentation.

    Args:
        module: the segmentor or its config.
        data_preprocessor: of the segmentor, where it has none.
    """

    def merge_preds(self, data_samples_list: Sequence[SampleList]) -> SampleList:
        """One prediction per image of those of its views.

        Args:
            data_samples_list: for each image its views, with ``seg_logits`` (K, H, W), or (1, H, W) probabilities.

        Returns:
            For each image a sample with ``pred_sem_seg``.
        """
        if any(len(views[0].seg_logits.data) > 1 for views in data_samples_list):
            return super().merge_preds(data_samples_list)
        return [self._merge_probabilities(views) for views in data_samples_list]

    def _merge_probabilities(self, views: SampleList) -> SegDataSample:
        probability = torch.stack([view.seg_logits.data for view in views]).mean(dim=0)  # (1, H, W)
        foreground = (probability > self.module.decode_head.threshold).to(probability)
        merged = views[0]
        merged.seg_logits.data, merged.pred_sem_seg.data = probability, foreground
        return merged
