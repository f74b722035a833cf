from pathlib import Path

import mmpretrain.datasets.cifar as cifar
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmdas.datasets import ReducedCIFAR10
from mmdas.registry import DATASETS

ROOT = Path(__file__).parents[2] / 'data' / 'cifar10-reduced'
needs_cifar = pytest.mark.skipif(not ROOT.is_dir(), reason=f'the reduced CIFAR-10 is not in {ROOT}')


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('a download was attempted')

    monkeypatch.setattr(cifar, 'download_and_extract_archive', refuse)


@needs_cifar
@pytest.mark.parametrize(
    ('split', 'count', 'fewest', 'most'), [('train', 4660, 435, 489), ('test', 486, 37, 56)], ids=['train', 'test']
)
def test_real_files_hold_nearly_balanced_classes(split, count, fewest, most):
    dataset = ReducedCIFAR10(data_root=str(ROOT), split=split)
    per_class = np.bincount(dataset.get_gt_labels(), minlength=10)
    assert len(dataset) == count
    assert (per_class.min(), per_class.max()) == (fewest, most)


@needs_cifar
def test_images_go_through_a_pipeline_of_the_default_scope():
    config = {
        'type': 'mmdas.ReducedCIFAR10',
        'data_root': str(ROOT),
        'split': 'test',
        'pipeline': [{'type': 'RandomCrop', 'crop_size': 32, 'padding': 4}, {'type': 'PackInputs'}],
    }
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(config)
    assert dataset[0]['inputs'].shape == (3, 32, 32)
    assert dataset.metainfo['classes'][0] == 'airplane'


def test_missing_files_are_refused_with_their_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/cifar-10-batches-py does not hold the reduced CIFAR-10'):
        ReducedCIFAR10(data_root=str(tmp_path))


def test_other_files_of_the_same_names_are_refused(tmp_path):
    folder = tmp_path / ReducedCIFAR10.base_folder
    folder.mkdir()
    for name, _ in ReducedCIFAR10.train_list + ReducedCIFAR10.test_list:
        (folder / name).write_bytes(b'the full data set, say')
    with pytest.raises(FileNotFoundError, match="another md5.*type='CIFAR10'"):
        ReducedCIFAR10(data_root=str(tmp_path))
