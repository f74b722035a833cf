"""Tiny-ImageNet in the layout of its archive, made up."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from tool_scripts import load_script

from mmdas.datasets import TinyImageNet

CLASSES = {'n02': 'goldfish', 'n01': 'bee'}  # the order of wnids.txt is not that of the names


def make_tiny_imagenet(root: Path, per_class: int = 2) -> Path:
    """Write the files of two classes; the gray level of an image is its class number times 100."""
    root.mkdir(parents=True)
    (root / 'wnids.txt').write_text('\n'.join(CLASSES) + '\n')
    words = {**CLASSES, 'n03': 'unused'}
    (root / 'words.txt').write_text(''.join(f'{wnid}\t{word}, other name\n' for wnid, word in words.items()))
    (root / 'val/images').mkdir(parents=True)
    annotations = []
    for label, wnid in enumerate(CLASSES):
        image = np.full((64, 64, 3), 100 * label, np.uint8)
        (root / 'train' / wnid / 'images').mkdir(parents=True)
        for number in range(per_class):
            cv2.imwrite(str(root / f'train/{wnid}/images/{wnid}_{number}.JPEG'), image)
        cv2.imwrite(str(root / f'val/images/val_{label}.JPEG'), image)
        annotations.append(f'val_{label}.JPEG\t{wnid}\t0\t0\t63\t63\n')
    (root / 'val/val_annotations.txt').write_text(''.join(reversed(annotations)))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tiny_imagenet(tmp_path / 'tiny-imagenet-200')


@pytest.mark.parametrize(('split', 'size'), [('train', 4), ('val', 2)])
def test_label_of_every_image_is_the_line_of_its_class(root: Path, split: str, size: int):
    data = TinyImageNet(str(root), split)
    infos = [data.get_data_info(index) for index in range(len(data))]
    assert len(infos) == size
    assert [round(cv2.imread(info['img_path']).mean() / 100) for info in infos] == [info['gt_label'] for info in infos]


def test_classes_are_the_first_words_in_the_order_of_the_labels(root: Path):
    assert TinyImageNet(str(root)).metainfo['classes'] == ('goldfish', 'bee')


@pytest.mark.parametrize('name', ['wnids.txt', 'words.txt', 'val/val_annotations.txt'])
def test_missing_file_is_named_with_the_remedy(root: Path, name: str):
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf'{name} is missing; unpack the archive'):
        TinyImageNet(str(root), 'val')


def test_split_without_images_is_refused(root: Path):
    for path in root.glob('train/*/images/*'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match='no images of the train split'):
        TinyImageNet(str(root))


def test_unknown_split_and_class_are_refused(root: Path):
    with pytest.raises(ValueError, match="split of TinyImageNet must be one of .* got 'test'"):
        TinyImageNet(str(root), 'test')
    (root / 'val/val_annotations.txt').write_text('val_0.JPEG\tn09\t0\t0\t1\t1\n')
    with pytest.raises(ValueError, match=r'val_0\.JPEG of class n09'):
        TinyImageNet(str(root), 'val')


# the converter


@pytest.fixture
def archive(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / 'tiny.zip'
    with zipfile.ZipFile(path, 'w') as bundle:
        for file in sorted(root.rglob('*')):
            bundle.write(file, file.relative_to(root.parent))
    return path


@pytest.mark.slow
def test_unpacked_archive_is_the_data_set(archive: Path, tmp_path: Path):
    tool = load_script('dataset_converters/tiny_imagenet.py')
    root = tool.unpack(archive, tmp_path / 'data')
    tool.check(root, {'train': 2, 'val': 1})
    assert len(TinyImageNet(str(root))) == 4


@pytest.mark.slow
def test_wrong_number_of_images_is_named(archive: Path, tmp_path: Path):
    tool = load_script('dataset_converters/tiny_imagenet.py')
    root = tool.unpack(archive, tmp_path / 'data')
    (root / 'train/n01/images/n01_0.JPEG').unlink()
    with pytest.raises(ValueError, match='train has 1 images of bee, expected 2'):
        tool.check(root, {'train': 2})


def test_class_folders_hold_the_validation_images(root: Path):
    folder = load_script('dataset_converters/tiny_imagenet.py').make_class_folders(root)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob('*/*')) == [
        'n01/val_1.JPEG',
        'n02/val_0.JPEG',
    ]


def test_other_archives_are_refused(tmp_path: Path):
    tool = load_script('dataset_converters/tiny_imagenet.py')
    with zipfile.ZipFile(tmp_path / 'other.zip', 'w') as bundle:
        bundle.writestr('readme.txt', 'hello')
    with pytest.raises(ValueError, match='not the archive of Tiny-ImageNet'):
        tool.unpack(tmp_path / 'other.zip', tmp_path)
    with pytest.raises(FileNotFoundError, match='there is no archive'):
        tool.unpack(tmp_path / 'absent.zip', tmp_path)
