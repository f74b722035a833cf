"""Tiny-ImageNet in the layout of its archive."""

from pathlib import Path

from mmpretrain.datasets import BaseDataset

from mmdas.registry import DATASETS

SPLITS = ('train', 'val')


@DATASETS.register_module()
class TinyImageNet(BaseDataset):
    """200 classes of ImageNet at 64 x 64 pixels (Le and Yang, 2015), read as ``tiny-imagenet-200.zip`` has them.

    Label i is the i-th line of ``wnids.txt``; the class names are from ``words.txt``, the first synonym of each. The
    test images of the archive have no labels.

    Args:
        data_root: Folder that holds ``wnids.txt``, ``words.txt``, ``train`` and ``val``.
        split: ``'train'`` (``train/WNID/images/*.JPEG``) or ``'val'`` (``val/images`` and
            ``val/val_annotations.txt``). Default: ``'train'``.
        **kwargs: Those of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        FileNotFoundError: If a file of the archive is missing, or a split has no images.
        ValueError: For another split, or a validation image of a class that ``wnids.txt`` does not list.
    """

    def __init__(self, data_root: str, split: str = 'train', **kwargs) -> None:
        if split not in SPLITS:
            raise ValueError(f'split of TinyImageNet must be one of {SPLITS}, got {split!r}')
        self.split = split
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels."""
        root = Path(self.data_root)
        wnids = read_lines(root / 'wnids.txt')
        names = dict(line.split('\t', 1) for line in read_lines(root / 'words.txt'))
        self._metainfo.setdefault('classes', tuple(names.get(wnid, wnid).split(',')[0] for wnid in wnids))
        labels = {wnid: label for label, wnid in enumerate(wnids)}
        samples = list(self._train_samples(root, labels) if self.split == 'train' else self._val_samples(root, labels))
        if not samples:
            raise FileNotFoundError(f'no images of the {self.split} split below {root}; unpack the archive anew')
        return [{'img_path': str(path), 'gt_label': label} for path, label in samples]

    @staticmethod
    def _train_samples(root: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
        return [
            (path, label)
            for wnid, label in labels.items()
            for path in sorted((root / 'train' / wnid / 'images').glob('*.JPEG'))
        ]

    @staticmethod
    def _val_samples(root: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
        samples = []
        for line in read_lines(root / 'val' / 'val_annotations.txt'):
            name, wnid = line.split('\t')[:2]
            if wnid not in labels:
                raise ValueError(f'val_annotations.txt has {name} of class {wnid}, which wnids.txt does not list')
            samples.append((root / 'val' / 'images' / name, labels[wnid]))
        return samples


def read_lines(path: Path) -> list[str]:
    """Lines of a text file that are not empty.

    Raises:
        FileNotFoundError: If it is missing, with the way to get it.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} is missing; unpack the archive with '
            '"python tools/dataset_converters/tiny_imagenet.py tiny-imagenet-200.zip"'
        )
    return [line for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
