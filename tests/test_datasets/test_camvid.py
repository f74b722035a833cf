from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.datasets.transforms import LoadAnnotations

from mmdas.datasets import CamVidDataset
from mmdas.registry import DATASETS

CAMVID = Path(__file__).parents[2] / 'data' / 'CamVid'
needs_camvid = pytest.mark.skipif(not CAMVID.is_dir(), reason=f'CamVid is not in {CAMVID}')


def make_folders(root: Path, label: np.ndarray, names: tuple[str, ...] = ('b', 'a')) -> None:
    for folder in ('train', 'trainannot'):
        (root / folder).mkdir()
    for name in names:
        cv2.imwrite(str(root / 'train' / f'{name}.jpg'), np.full((*label.shape, 3), 128, np.uint8))
        cv2.imwrite(str(root / 'trainannot' / f'{name}.png'), label)


def split(root: Path, name: str = 'train', **kwargs) -> CamVidDataset:
    prefix = {'img_path': name, 'seg_map_path': f'{name}annot'}
    return CamVidDataset(data_root=str(root), data_prefix=prefix, **kwargs)


def load_label(dataset: CamVidDataset, index: int) -> np.ndarray:
    return LoadAnnotations()(dataset.get_data_info(index))['gt_seg_map']


def test_every_image_is_paired_with_the_label_of_its_name(tmp_path):
    make_folders(tmp_path, np.zeros((2, 2), np.uint8))
    dataset = split(tmp_path)
    stems = [(Path(info['img_path']).stem, Path(info['seg_map_path']).stem) for info in dataset]
    assert stems == [('a', 'a'), ('b', 'b')]


def test_unlabelled_pixels_become_the_ignore_index_and_others_stay(tmp_path):
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    make_folders(tmp_path, label)
    loaded = load_label(split(tmp_path), 0)
    assert loaded.flatten().tolist() == [*range(11), 255]


def test_a_subset_of_classes_is_renumbered_and_all_others_are_ignored(tmp_path):
    make_folders(tmp_path, np.arange(12, dtype=np.uint8).reshape(3, 4))
    dataset = split(tmp_path, metainfo={'classes': ('Car', 'Sky')})
    expected = np.full(12, 255)
    expected[8], expected[0] = 0, 1  # Car and Sky in the files
    assert load_label(dataset, 0).flatten().tolist() == expected.tolist()
    assert dataset.metainfo['palette'] == [[64, 0, 128], [128, 128, 128]]


def test_an_empty_split_is_refused_with_its_folder(tmp_path):
    make_folders(tmp_path, np.zeros((2, 2), np.uint8), names=())
    with pytest.raises(ValueError, match=rf'CamVidDataset found no image in {tmp_path}/train \(\*\.jpg\).*data_root'):
        split(tmp_path)


def test_a_missing_split_is_refused_with_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/train'):
        split(tmp_path)


def test_the_package_prefix_finds_the_data_set_from_a_host_scope(tmp_path):
    make_folders(tmp_path, np.zeros((2, 2), np.uint8))
    prefix = {'img_path': 'train', 'seg_map_path': 'trainannot'}
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build({'type': 'mmdas.CamVidDataset', 'data_root': str(tmp_path), 'data_prefix': prefix})
    assert isinstance(dataset, CamVidDataset)


@needs_camvid
@pytest.mark.parametrize(('name', 'count'), [('train', 367), ('val', 101), ('test', 133)])
def test_folders_of_the_real_data_hold_exactly_the_listed_pairs(name, count):
    pairs = {(info['img_path'], info['seg_map_path']) for info in split(CAMVID, name)}
    listed = (CAMVID / f'{name}.txt').read_text().splitlines()
    assert pairs == {tuple(str(CAMVID / path) for path in line.split()) for line in listed}
    assert len(pairs) == count


@needs_camvid
def test_real_labels_are_classes_or_ignored():
    dataset = split(CAMVID, 'val')
    values = set().union(*(np.unique(load_label(dataset, index)).tolist() for index in range(len(dataset))))
    assert values == {*range(11), 255}
