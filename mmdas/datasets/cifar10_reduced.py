"""The reduced CIFAR-10: 4,660 training and 486 test images of the original, with its own checksums."""

from mmengine.fileio import join_path
from mmpretrain.datasets import CIFAR10

from mmdas.registry import DATASETS


@DATASETS.register_module()
class ReducedCIFAR10(CIFAR10):
    """The leading part of every batch of CIFAR-10 (Krizhevsky, 2009), in the official file format and pixels.

    About the size of the "reduced CIFAR-10" (4,000 images) on which AutoAugment (Cubuk et al., 2019) searches. Nothing
    is ever downloaded: what mmpretrain could fetch is the full data set, which is another one.

    Args:
        data_root: Folder that holds ``cifar-10-batches-py``.
        split: ``'train'`` or ``'test'``. Default: ``'train'``.
        **kwargs: Those of :class:`mmpretrain.datasets.CIFAR10` other than ``download``.

    Raises:
        FileNotFoundError: If one of the files is missing, or is not that of the reduced data set.
    """

    train_list = [
        ['data_batch_1', '0f5ede09a7a7fa705f33d333d0e486c6'],
        ['data_batch_2', '003e6dfd541a723ff55d0c85d18338af'],
        ['data_batch_3', '0fd5adb574e3b66a9e06e7c8ce025f02'],
        ['data_batch_4', '4d58c8289b963bf72e45cdcb1f28eec3'],
        ['data_batch_5', '3a4d75a6f9ec624326da4fafdc6abc2a'],
    ]
    test_list = [['test_batch', 'fd469fa2aac71a0e19d1384739d6823c']]
    meta = {'filename': 'batches.meta', 'key': 'label_names', 'md5': '7dddfda267884953c50a801cce85580c'}

    def __init__(self, data_root: str = '', split: str = 'train', **kwargs) -> None:
        super().__init__(data_root=data_root, split=split, download=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the images and labels of the split."""
        # mmpretrain's own message for this case advises the download of the full data set.
        if not self._check_integrity():
            raise FileNotFoundError(
                f'{join_path(self.data_prefix["root"], self.base_folder)} does not hold the reduced CIFAR-10: a file '
                'is missing or has another md5; set data_root to the folder that holds its cifar-10-batches-py '
                "(for the full data set use type='CIFAR10')"
            )
        return super().load_data_list()
