"""Whether a classifier goes by shape or by texture."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmdas.registry import METRICS

NO_TEXTURE = -1
NAN = float('nan')


@METRICS.register_module()
class ShapeBias(BaseMetric):
    """Shape bias of a classifier (Geirhos et al., ICLR 2019, Sec. 2.2), in percent.

    An image whose shape and texture are of different classes is decided for the shape, for the texture, or for
    neither. The shape bias is the share of the first among the first two. It says nothing where both are rare, so that
    they are given, too:

    * ``bias``: 100 * shape / (shape + texture); nan where no image was decided for either.
    * ``conflict_shape``, ``conflict_texture``: shares of the images in conflict.
    * ``agree``: accuracy where shape and texture are of one class.
    * ``shape_only``: accuracy where there is no texture.

    Those of kinds of images that the test set has not are left out.

    Args:
        texture: field of the samples that holds the class of the texture, -1 for none; ``algorithm_keys`` of
            ``PackInputs`` has to name it. Default: ``'gt_texture'``.
        collect_device, prefix: see :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: in a test, for samples without the field, or without a single predicted class.
    """

    default_prefix = 'shape_bias'

    def __init__(self, texture: str = 'gt_texture', collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.texture = texture

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note (prediction, shape, texture) of each sample."""
        for sample in data_samples:
            if sample.get(self.texture) is None:
                raise ValueError(
                    f'samples have no {self.texture}, which ShapeBias compares with; add algorithm_keys='
                    f'[{self.texture!r}] to PackInputs, and take a data set that has it, as mmdas.ShapeTextureDigits'
                )
            self.results.append((predicted(sample), single(sample['gt_label']), single(sample[self.texture])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Shares of all samples."""
        conflict = [row for row in results if row[2] not in (NO_TEXTURE, row[1])]
        shape = sum(prediction == label for prediction, label, _ in conflict)
        texture = sum(prediction == other for prediction, _, other in conflict)
        metrics: dict[str, float] = {}
        if conflict:
            metrics['bias'] = 100 * shape / (shape + texture) if shape + texture else NAN
            metrics['conflict_shape'] = 100 * shape / len(conflict)
            metrics['conflict_texture'] = 100 * texture / len(conflict)
        kinds = {
            'agree': [row for row in results if row[2] == row[1]],
            'shape_only': [row for row in results if row[2] == NO_TEXTURE],
        }
        for name, rows in kinds.items():
            if rows:
                metrics[name] = 100 * sum(prediction == label for prediction, label, _ in rows) / len(rows)
        return metrics


def predicted(sample: dict) -> int:
    """Class that a sample is predicted to be.

    Raises:
        ValueError: if there are several, or none.
    """
    if 'pred_score' in sample:
        return int(torch.as_tensor(sample['pred_score']).argmax())
    if 'pred_label' not in sample:
        raise ValueError(f'ShapeBias needs pred_score or pred_label of a classifier, got {sorted(sample)}')
    return single(sample['pred_label'])


def single(label: Any) -> int:
    """A label as a number.

    Raises:
        ValueError: if there are several.
    """
    label = torch.as_tensor(label)
    if label.numel() != 1:
        raise ValueError(f'ShapeBias takes one class an image, got the labels {label.tolist()}')
    return int(label)
