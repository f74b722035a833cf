"""DigitScenes, the embedded data set made by ``tools/dataset_converters/digit_scenes.py``."""

from pathlib import Path

from mmseg.datasets import BaseSegDataset

from mmdas.registry import DATASETS

from .checks import require_samples


@DATASETS.register_module()
class DigitScenesDataset(BaseSegDataset):
    """Handwritten digits, rotated, scaled and shifted, on textured backgrounds, in the folders of Pascal VOC.

    Label value 0 is background, 1 to 10 are the digits zero to nine.

    Args:
        ann_file: List of the names of a split, relative to ``data_root``: ``'ImageSets/Segmentation/train.txt'`` or
            ``'ImageSets/Segmentation/val.txt'``.
        data_prefix: Folders of the images and of the labels, relative to ``data_root``. Default: VOC's,
            ``dict(img_path='JPEGImages', seg_map_path='SegmentationClass')``.
        **kwargs: The others of :class:`mmseg.datasets.BaseSegDataset`.

    Raises:
        FileNotFoundError: If ``ann_file`` is missing.
        ValueError: If ``ann_file`` names no image.
    """

    METAINFO = {
        'classes': (
            'background',
            'zero',
            'one',
            'two',
            'three',
            'four',
            'five',
            'six',
            'seven',
            'eight',
            'nine',
        ),
        'palette': [
            [0, 0, 0],
            [230, 25, 75],
            [60, 180, 75],
            [255, 225, 25],
            [0, 130, 200],
            [245, 130, 48],
            [145, 30, 180],
            [70, 240, 240],
            [240, 50, 230],
            [210, 245, 60],
            [250, 190, 212],
        ],
    }

    def __init__(self, ann_file: str, data_prefix: dict | None = None, **kwargs) -> None:
        if data_prefix is None:
            data_prefix = {'img_path': 'JPEGImages', 'seg_map_path': 'SegmentationClass'}
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the pairs of image and label that ``ann_file`` names, in its order."""
        if not Path(self.ann_file).is_file():
            raise FileNotFoundError(
                f'{self.ann_file} is missing; make the data with '
                f'"python tools/dataset_converters/digit_scenes.py {self.data_root or "OUT_DIR"}"'
            )
        return require_samples(self, super().load_data_list())
