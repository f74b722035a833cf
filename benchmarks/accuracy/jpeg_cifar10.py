"""CIFAR-10 as one JPEG file an image, decoded once into memory: the epochs of small experiments are then cheap."""

from functools import cache
from pathlib import Path

from mmcv import imread
from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS


@DATASETS.register_module(force=True)
class JPEGCIFAR10(BaseDataset):
    """``<data_root>/<split>/<class>/<index>.jpg``, the class folders in the order of the labels.

    Args:
        data_root: folder of the data set.
        split: ``'train'`` or ``'test'``. Default: ``'train'``.
        per_class: take the first so many images of every class; None takes all.
        **kwargs: those of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        FileNotFoundError: if there are no images.
    """

    def __init__(self, data_root: str, split: str = 'train', per_class: int | None = None, **kwargs) -> None:
        self.per_class = per_class
        super().__init__(ann_file='', data_root=data_root, data_prefix=dict(root=split), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the images of the split."""
        classes, samples = read_images(Path(self.data_prefix['root']).resolve(), self.per_class)
        self._metainfo['classes'] = classes
        return [dict(sample) for sample in samples]


@cache
def read_images(root: Path, per_class: int | None) -> tuple[tuple[str, ...], list[dict]]:
    """Names of the class folders, and the images with their labels; kept, since several data sets of a run share them.

    Raises:
        FileNotFoundError: if there are no images.
    """
    folders = sorted(path for path in root.glob('*') if path.is_dir())
    files = [(label, file) for label, folder in enumerate(folders) for file in sorted(folder.glob('*.jpg'))[:per_class]]
    if not files:
        raise FileNotFoundError(f'no images at {join_path(root, "<class>", "*.jpg")}; unpack cifar10-jpeg to data/')
    samples = [{'img': imread(str(file), channel_order='rgb'), 'gt_label': label} for label, file in files]
    return tuple(folder.name for folder in folders), samples
