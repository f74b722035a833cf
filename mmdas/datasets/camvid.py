"""CamVid with the 11 classes and the split of SegNet."""

from collections.abc import Sequence

from mmseg.datasets import BaseSegDataset

from mmdas.registry import DATASETS

from .checks import require_samples

UNLABELLED = 11
IGNORE_INDEX = 255  # the value that mmseg's losses and metrics leave out


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """Street scenes of CamVid (Brostow et al., 2009) in the 11-class version of SegNet (Badrinarayanan et al., 2017).

    A split is a pair of folders, which mmseg reads without a list; the lists ``{train,val,test}.txt`` beside them name
    the same pairs and are not needed. Label value 11, unlabelled, becomes 255, the ignore index; so does every class
    that ``metainfo=dict(classes=...)`` leaves out.

    Args:
        **kwargs: Those of :class:`mmseg.datasets.BaseSegDataset`; images end in ``.jpg``, labels in ``.png``.

    Raises:
        FileNotFoundError: If the folder of the images is missing.
        ValueError: If it holds no image.

    Example:
        >>> CamVidDataset(data_root='data/CamVid', data_prefix=dict(img_path='train', seg_map_path='trainannot'))
    """

    METAINFO = {
        'classes': (
            'Sky',
            'Building',
            'Pole',
            'Road',
            'Pavement',
            'Tree',
            'SignSymbol',
            'Fence',
            'Car',
            'Pedestrian',
            'Bicyclist',
        ),
        'palette': [
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [60, 40, 222],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    }

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Label value in the file -> label value in training; a value without an entry stays as it is."""
        return {**(super().get_label_map(new_classes) or {}), UNLABELLED: IGNORE_INDEX}

    def load_data_list(self) -> list[dict]:
        """List the pairs of image and label of the split, in the order of the image names."""
        return require_samples(self, super().load_data_list())
