"""CIFAR-10 as one JPEG file an image, decoded once into memory: the epochs of small experiments are then cheap."""

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
        root = Path(self.data_prefix['root'])
        folders = sorted(path for path in root.glob('*') if path.is_dir())
        self._metainfo['classes'] = tuple(folder.name for folder in folders)
        files = [
            (label, file)
            for label, folder in enumerate(folders)
            for file in sorted(folder.glob('*.jpg'))[: self.per_class]
        ]
        if not files:
            raise FileNotFoundError(f'no images at {join_path(root, "<class>", "*.jpg")}; unpack cifar10-jpeg to data/')
        return [{'img': imread(str(file), channel_order='rgb'), 'gt_label': label} for label, file in files]
