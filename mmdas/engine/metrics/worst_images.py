"""The images that a model does worst on, as a picture."""

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.evaluator import BaseMetric

from mmdas.engine.data_error import DataError
from mmdas.registry import METRICS
from mmdas.visualization.worst_figure import WorstImage, draw_worst

NAME = 'worst'  # of the files


@dataclass
class Judged:
    """An image with what a model made of it.

    Args:
        score: part of its pixels that are right, or the probability of its class; in [0, 1].
        path: of its file; empty where the data set has none.
        image: (H, W, 3), uint8, RGB.
        truth, prediction: label map (H, W), or number of a class.
        certainty: probability of the predicted class; None of a segmentation.
    """

    score: float
    path: str
    image: np.ndarray
    truth: Any
    prediction: Any
    certainty: float | None = None


@METRICS.register_module()
class WorstImages(BaseMetric):
    """Keep the images with the lowest scores, and write them as ``worst.png`` and ``worst.json``.

    An image's score is the part of its pixels that are right (segmentation), or the probability of its class
    (classification). The result is the mean score over all images, in percent, and the number of images.

    Args:
        out_dir: folder for the files.
        number: of images that are kept, >= 1. Default: 8.
        ignore_index: label of pixels that do not count. Default: 255.
        collect_device, prefix: see :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: for a number below 1.
        DataError: in a test, for images without labels, with several classes, or with a label
            that the network has no class for, and where no pixel of any image counts.
    """

    default_prefix = 'worst_images'

    def __init__(
        self,
        out_dir: str,
        number: int = 8,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if number < 1:
            raise ValueError(f'WorstImages.number is {number}, expected 1 or more')
        self.out_dir, self.number, self.ignore_index = Path(out_dir), number, ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Judge each image; pictures are kept of the worst alone."""
        for place, sample in enumerate(data_samples):
            judged = self._segmented(sample) if 'gt_sem_seg' in sample else classified(sample)
            if judged is not None:
                judged.path = str(sample.get('img_path') or '')
                judged.image = read_image(judged.path, data_batch['inputs'], place)
                self.results.append(judged)
        for rest in sorted(self.results, key=lambda one: one.score)[self.number :]:
            rest.image = rest.truth = rest.prediction = None

    def compute_metrics(self, results: list[Judged]) -> dict[str, float]:
        """Write the files; the mean over all images."""
        if not results:
            raise DataError(
                f'WorstImages: no pixel of the test has a label that counts, all are ignore_index={self.ignore_index}; '
                'look at the labels, or at ignore_index of the test_evaluator'
            )
        worst = heapq.nsmallest(self.number, results, key=lambda one: one.score)
        meta = self.dataset_meta or {}
        self.out_dir.mkdir(parents=True, exist_ok=True)
        told = [{'image': one.path, 'score': round(one.score, 4)} for one in worst]
        Path(self.out_dir, f'{NAME}.json').write_text(json.dumps(told, indent=1) + '\n', encoding='utf-8')
        shown = [WorstImage(one.image, one.truth, one.prediction, one.score, one.certainty) for one in worst]
        figure = draw_worst(shown, meta.get('classes'), meta.get('palette'), self.ignore_index)
        figure.savefig(self.out_dir / f'{NAME}.png', dpi=90)
        mean = sum(one.score for one in results) / len(results)
        return {'mean': round(100 * mean, 2), 'images': len(results)}

    def _segmented(self, sample: dict) -> Judged | None:
        """None where no pixel of the image counts."""
        truth = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
        prediction = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy()
        counted = truth != self.ignore_index
        if not counted.any():
            return None
        right = float((truth == prediction)[counted].mean())
        return Judged(right, '', np.empty(0), truth.astype(np.int32), prediction.astype(np.int32))


def classified(sample: dict) -> Judged:
    """An image of a classification.

    Raises:
        DataError: if it has no label, is not of one class, or of one that the network does not have.
    """
    if 'gt_label' not in sample:
        name = sample.get('img_path') or 'an image'
        raise DataError(f'WorstImages: {name} has no label; take a test set with labels')
    labels = sample['gt_label'].flatten().tolist()
    if len(labels) != 1:
        raise DataError(f'WorstImages rates images of one class; one has {len(labels)}: {labels}')
    scores = sample['pred_score'].float().cpu()
    if not 0 <= labels[0] < len(scores):
        name = sample.get('img_path') or 'an image'
        raise DataError(f'WorstImages: {name} has the label {labels[0]}, and the network has {len(scores)} classes')
    best = int(scores.argmax())
    return Judged(float(scores[labels[0]]), '', np.empty(0), labels[0], best, float(scores[best]))


def read_image(path: str, inputs: Any, place: int) -> np.ndarray:
    """The picture of an image, (H, W, 3), uint8, RGB.

    Args:
        path: of its file, which is read as the toolboxes read it.
        inputs: what the loader gave, of which images without a file are taken: (C, H, W) each, BGR.
        place: of the image in the batch.
    """
    if path and Path(path).is_file():
        return np.asarray(mmcv.imread(path, flag='color', channel_order='rgb'))
    given = inputs[place]
    pixels = given.float().cpu().numpy()
    pixels = pixels[::-1] if len(pixels) == 3 else np.repeat(pixels[:1], 3, axis=0)
    low, high = (pixels.min(), pixels.max()) if given.dtype.is_floating_point else (0.0, 255.0)
    scaled = (pixels - low) / max(high - low, 1e-9)
    return (255 * scaled).round().astype(np.uint8).transpose(1, 2, 0)


__all__ = ['Judged', 'WorstImages']
