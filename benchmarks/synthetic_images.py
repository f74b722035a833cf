"""A data set in memory for whole runners: noise of the size of a real data set's images."""

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

DISTINCT = 8  # images that are drawn; the rest repeats them


@DATASETS.register_module()
class SyntheticImages(BaseDataset):
    """Noise with random labels, for an image and for every pixel, in the form that both toolboxes' pipelines take.

    Args:
        count: samples.
        size: (height, width) of the images in pixels.
        classes: names of the classes.
        **kwargs: those of :class:`mmengine.dataset.BaseDataset`; the pipeline comes without what loads files.
    """

    def __init__(self, count: int, size: tuple[int, int], classes: list[str], **kwargs) -> None:
        self.count, self.size = count, tuple(size)
        super().__init__(metainfo=dict(classes=tuple(classes)), serialize_data=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Draw the samples."""
        random = np.random.default_rng(0)
        distinct = [self._sample(random) for _ in range(DISTINCT)]
        # the number keeps them apart: a holdout keeps copies of an image together
        return [{**distinct[number % DISTINCT], 'number': number} for number in range(self.count)]

    def _sample(self, random: np.random.Generator) -> dict:
        num_classes = len(self.metainfo['classes'])
        return {
            'img': random.integers(256, size=(*self.size, 3), dtype=np.uint8),
            'img_path': 'noise.png',
            'img_shape': self.size,
            'ori_shape': self.size,
            'gt_label': int(random.integers(num_classes)),
            'gt_seg_map': random.integers(num_classes, size=self.size, dtype=np.uint8),
            'seg_map_path': 'noise.png',
            'seg_fields': ['gt_seg_map'],
        }
