"""Views of images for MMPretrain's classifiers."""

from collections.abc import Sequence

import torch
from mmpretrain.models import MultiLabelClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmdas.registry import MODELS
from mmdas.search.das.operation import Size
from mmdas.search.test_time import View, to_probabilities

from .view_model import Seen, ViewModel, warp_contents


@MODELS.register_module()
class ClsViewModel(ViewModel):
    """Views of images for a classifier with one class an image, of DAS or plain.

    Args:
        module, policy, channel_order, data_preprocessor: as of :class:`ViewModel`.

    Raises:
        ValueError: for a head with several classes an image, and as :class:`ViewModel`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        head = getattr(self.module, 'head', None)
        if isinstance(head, MultiLabelClsHead) or head is None:
            raise ValueError(
                f'views go with a classifier with one class an image, the model has the head {type(head).__name__}; '
                'test it without --policy'
            )

    def predict_image(self, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> list:
        """Samples with the prediction of the wrapped model."""
        return self.module(self.to_clip(images, sizes), samples, mode='predict')

    def look_at(self, view: View, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> Seen:
        """Scores of a view, (B, K); a class needs no way back."""
        divisor = getattr(self.module.data_preprocessor, 'pad_size_divisor', 1)
        seen, contents = warp_contents(view, images, sizes, divisor, self.pixels)
        inputs = self.to_clip(seen, contents)
        if samples is None:
            return to_probabilities(self.module(inputs, mode='tensor')), None
        predicted = self.module(inputs, [DataSample() for _ in samples], mode='predict')
        return torch.stack([sample.pred_score for sample in predicted]).float(), None

    def to_samples(self, probabilities: Tensor, samples: list | None) -> list:
        """Samples with scores and label."""
        labels = probabilities.argmax(dim=1, keepdim=True)
        samples = [DataSample() for _ in labels] if samples is None else samples
        for sample, score, label in zip(samples, probabilities, labels, strict=True):
            sample.set_pred_score(score).set_pred_label(label)
        return samples
