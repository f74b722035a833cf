"""How often a pixel of one class is taken for another."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmdas.registry import METRICS

# Labels, predictions and how many pixels have both: an image holds few of all pairs.
Pairs = tuple[list[int], list[int], list[int]]


@METRICS.register_module()
class SegConfusionMatrix(BaseMetric):
    """Confusion matrix of a segmentation, in pixels.

    ``result`` is a list of K lists: row i, column j counts the pixels of class i that are predicted to be of class j.
    For classification MMPretrain has ``ConfusionMatrix``.

    Args:
        num_classes: K. Default: that of the data set's ``classes``.
        ignore_index: label of the pixels that do not count. Default: 255.
        collect_device, prefix: see :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: in a test, for a label outside the classes, or where nothing says how many there are.
    """

    default_prefix = 'confusion_matrix'

    def __init__(
        self,
        num_classes: int | None = None,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pairs of each image."""
        for sample in data_samples:
            predicted = sample['pred_sem_seg']['data'].flatten().cpu()
            label = sample['gt_sem_seg']['data'].flatten().cpu()
            counted = label != self.ignore_index
            self.results.append(pairs_of(label[counted], predicted[counted]))

    def compute_metrics(self, results: list[Pairs]) -> dict[str, list[list[int]]]:
        """The sum over all images."""
        size = self.num_classes or len((self.dataset_meta or {}).get('classes', ()))
        if not size:
            raise ValueError('SegConfusionMatrix.num_classes is not set, and the data set names no classes; set it')
        matrix = torch.zeros(size, size, dtype=torch.int64)
        for pairs in results:
            label, predicted, count = map(torch.tensor, pairs)
            wrong = label[(label < 0) | (label >= size)].unique().tolist()
            if wrong:
                raise ValueError(
                    f'labels {wrong} lie outside the {size} classes; set SegConfusionMatrix.num_classes, or '
                    'ignore_index for pixels that do not count'
                )
            matrix.index_put_((label.long(), predicted.long()), count.long(), accumulate=True)
        return {'result': matrix.tolist()}


def pairs_of(label: torch.Tensor, predicted: torch.Tensor) -> Pairs:
    """Which pairs of label and prediction occur, and how often.

    Args:
        label, predicted: (N,), integers.
    """
    pairs, counts = torch.stack([label.long(), predicted.long()]).unique(dim=1, return_counts=True)
    return pairs[0].tolist(), pairs[1].tolist(), counts.tolist()
