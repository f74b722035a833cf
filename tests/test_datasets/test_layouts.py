"""Every data set of the config families, read by the real classes from tiny made-up files in its own layout."""

import hashlib
import pickle
from pathlib import Path

import cv2
import mmseg.datasets  # noqa: F401  registers the data sets and their transforms
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from mmpretrain.datasets import CIFAR10, CIFAR100

from mmdas.apis import load_config

ROOT = Path(__file__).parents[2]


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def photo(number: int, height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def labels(number: int, num_classes: int, height: int = 40, width: int = 56) -> np.ndarray:
    blocks = np.random.default_rng(number).integers(0, num_classes, (height // 8, width // 8), np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)


def make_voc(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc = root / 'data/VOCdevkit/VOC2012'
    for split, folder in (('train', ''), ('val', ''), ('aug', 'Aug')):
        names = [f'{split}_{number}' for number in range(4)]
        for number, name in enumerate(names):
            write(voc / f'JPEGImages/{name}.jpg', photo(number))
            write(voc / f'SegmentationClass{folder}/{name}.png', labels(number, 21))
        (voc / 'ImageSets/Segmentation').mkdir(parents=True, exist_ok=True)
        (voc / f'ImageSets/Segmentation/{split}.txt').write_text('\n'.join(names) + '\n')


def make_cityscapes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, city in (('train', 'aachen'), ('val', 'lindau')):
        for number in range(4):
            name = f'{city}_00000{number}_000019'
            write(root / f'data/cityscapes/leftImg8bit/{split}/{city}/{name}_leftImg8bit.png', photo(number))
            path = root / f'data/cityscapes/gtFine/{split}/{city}/{name}_gtFine_labelTrainIds.png'
            write(path, labels(number, 19))


def make_ade20k(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ('training', 'validation'):
        for number in range(4):
            ade = root / 'data/ade/ADEChallengeData2016'
            write(ade / f'images/{split}/ADE_{number}.jpg', photo(number))
            write(ade / f'annotations/{split}/ADE_{number}.png', labels(number, 151))


def make_cifar(folder: Path, cls: type, label_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the pickles of a CIFAR data set and tell its class their checksums."""
    folder.mkdir(parents=True)
    rng, checksums = np.random.default_rng(0), {}
    names = [name for name, _ in (*cls.train_list, *cls.test_list)]
    contents = {name: {'data': rng.integers(0, 256, (4, 3072), np.uint8), label_key: [0, 1, 2, 3]} for name in names}
    contents[cls.meta['filename']] = {cls.meta['key']: list(cls.METAINFO['classes'])}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        checksums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    for attribute in ('train_list', 'test_list'):
        listed = [[name, checksums[name]] for name, _ in getattr(cls, attribute)]
        monkeypatch.setattr(cls, attribute, listed)
    monkeypatch.setattr(cls, 'meta', {**cls.meta, 'md5': checksums[cls.meta['filename']]})


def make_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar(root / 'data/cifar10/cifar-10-batches-py', CIFAR10, 'labels', monkeypatch)


def make_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar(root / 'data/cifar100/cifar-100-python', CIFAR100, 'fine_labels', monkeypatch)


def make_tiny_imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / 'data/tiny-imagenet-200'
    for number, wnid in enumerate(('n01', 'n02')):
        for copy in range(2):
            write(folder / f'train/{wnid}/images/{wnid}_{copy}.JPEG', photo(number, 64, 64))
        write(folder / f'val/images/val_{number}.JPEG', photo(number, 64, 64))
    (folder / 'wnids.txt').write_text('n01\nn02\n')
    (folder / 'words.txt').write_text('n01\tbee\nn02\tgoldfish\n')
    (folder / 'val/val_annotations.txt').write_text('val_0.JPEG\tn01\t0\t0\t1\t1\nval_1.JPEG\tn02\t0\t0\t1\t1\n')


def make_imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of a split lie in a folder a class; all thousand have to be there."""
    write(root / 'image.JPEG', photo(0, 240, 260))
    content = (root / 'image.JPEG').read_bytes()
    for split in ('train', 'val'):
        for number in range(1000):
            path = root / f'data/imagenet/{split}/n{number:08d}/{split}_{number}.JPEG'
            path.parent.mkdir(parents=True)
            path.write_bytes(content + str(number).encode())  # a holdout keeps files that are equal together


# Data set: its maker, a host, samples in both parts of the training set and in validation.
LAYOUTS = {
    'voc12': (make_voc, 'pspnet_r18-d8_4xb4-40k_voc12-512x512', 4, 4),
    'voc12aug': (make_voc, 'pspnet_r50-d8_4xb4-40k_voc12aug-512x512', 8, 4),
    'cityscapes': (make_cityscapes, 'pspnet_r18-d8_4xb2-80k_cityscapes-512x1024', 4, 4),
    'ade20k': (make_ade20k, 'convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512', 4, 4),
    'cifar10': (make_cifar10, 'resnet18_8xb16_cifar10', 20, 4),
    'cifar100': (make_cifar100, 'mobilenet-v2_8xb16_cifar100', 4, 4),
    'tiny-imagenet': (make_tiny_imagenet, 'resnet18_8xb16_tiny-imagenet', 4, 2),
    'imagenet': (make_imagenet, 'resnet18_8xb32_in1k', 1000, 1000),
}


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.slow
def test_data_set_is_read_in_its_own_layout(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make, host, num_train, num_val = LAYOUTS[name]
    cfg = load_config(host, das='search')
    make(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        parts = [DATASETS.build({**cfg.train_dataloader.dataset, 'part': part}) for part in ('weights', 'policy')]
        validation = DATASETS.build(cfg.val_dataloader.dataset)
        samples = [data[0] for data in (*parts, validation)]
    assert sum(map(len, parts)) == num_train
    assert len(validation) == num_val
    for sample in samples:
        assert sample['inputs'].ndim == 3
        target = sample['data_samples']
        if cfg.default_scope == 'mmseg':
            label = target.gt_sem_seg.data
            values = set(label.unique().tolist()) - {255}
            assert values
            assert max(values) < cfg.model.decode_head.head.num_classes
        else:
            assert 0 <= int(target.gt_label) < cfg.model.head.head.num_classes
