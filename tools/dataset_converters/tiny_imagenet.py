"""Unpack Tiny-ImageNet and check it: ``python tools/dataset_converters/tiny_imagenet.py tiny-imagenet-200.zip``.

The archive is read as it is; ``mmdas.TinyImageNet`` reads what it holds. With ``--class-folders`` the validation images
also get a folder for each class, the layout of torchvision's ``ImageFolder`` and MMPretrain's ``CustomDataset``.
"""

import shutil
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

from mmdas.datasets import TinyImageNet

NAME = 'tiny-imagenet-200'
PER_CLASS = {'train': 500, 'val': 50}


def unpack(archive: Path, out: Path) -> Path:
    """Unpack the archive into a folder; the folder of the data set.

    Raises:
        FileNotFoundError: If there is no archive.
        ValueError: If it holds another data set.
    """
    if not archive.is_file():
        raise FileNotFoundError(f'there is no archive {archive}; get tiny-imagenet-200.zip of Stanford CS 231N')
    with ZipFile(archive) as bundle:
        if f'{NAME}/wnids.txt' not in bundle.namelist():
            raise ValueError(f'{archive} holds no {NAME}/wnids.txt: it is not the archive of Tiny-ImageNet')
        bundle.extractall(out)
    return out / NAME


def count(root: Path, split: str) -> Counter:
    """Images of each label of a split whose files are there."""
    data = TinyImageNet(str(root), split)
    infos = [data.get_data_info(index) for index in range(len(data))]
    return Counter(info['gt_label'] for info in infos if Path(info['img_path']).is_file())


def check(root: Path, per_class: dict[str, int]) -> None:
    """Compare the numbers of images with those of the published data set.

    Raises:
        ValueError: Naming the split and the first class that has too few or too many.
    """
    classes = TinyImageNet(str(root), 'train').metainfo['classes']
    for split, expected in per_class.items():
        counts = count(root, split)
        for label, name in enumerate(classes):
            if counts[label] != expected:
                raise ValueError(f'{root}: {split} has {counts[label]} images of {name}, expected {expected}')


def make_class_folders(root: Path) -> Path:
    """Copy the validation images to ``val_by_class/WNID/*.JPEG``."""
    wnids = (root / 'wnids.txt').read_text().split()
    data = TinyImageNet(str(root), 'val')
    for index in range(len(data)):
        info = data.get_data_info(index)
        folder = root / 'val_by_class' / wnids[info['gt_label']]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(info['img_path'], folder)
    return root / 'val_by_class'


def main() -> None:
    """Unpack, check, and say where it is."""
    parser = ArgumentParser(description='Unpack Tiny-ImageNet and check it')
    parser.add_argument('archive', type=Path, help='tiny-imagenet-200.zip')
    parser.add_argument('--out', type=Path, default=Path('data'), help='default: %(default)s')
    parser.add_argument('--class-folders', action='store_true', help='also copy val into a folder for each class')
    args = parser.parse_args()
    root = unpack(args.archive, args.out)
    check(root, PER_CLASS)
    print(root)
    if args.class_folders:
        print(make_class_folders(root))


if __name__ == '__main__':
    main()
