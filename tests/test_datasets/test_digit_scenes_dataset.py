from pathlib import Path

import pytest

from mmdas.datasets import DigitScenesDataset


def write_list(root: Path, text: str) -> str:
    (root / 'val.txt').write_text(text)
    return 'val.txt'


def test_listed_names_are_read_from_the_folders_of_voc(tmp_path):
    dataset = DigitScenesDataset(write_list(tmp_path, 'scene_b\nscene_a\n'), data_root=str(tmp_path))
    assert [info['img_path'] for info in dataset] == [
        f'{tmp_path}/JPEGImages/scene_b.jpg',
        f'{tmp_path}/JPEGImages/scene_a.jpg',
    ]
    assert dataset[0]['seg_map_path'] == f'{tmp_path}/SegmentationClass/scene_b.png'


def test_every_class_has_a_colour_of_its_own():
    palette = DigitScenesDataset.METAINFO['palette']
    assert len({tuple(colour) for colour in palette}) == len(DigitScenesDataset.METAINFO['classes']) == 11


def test_an_empty_split_is_refused_with_its_list(tmp_path):
    with pytest.raises(ValueError, match=f'DigitScenesDataset found no image in {tmp_path}/val.txt'):
        DigitScenesDataset(write_list(tmp_path, ''), data_root=str(tmp_path))


def test_data_not_made_yet_is_refused_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'python tools/dataset_converters/digit_scenes.py {tmp_path}'):
        DigitScenesDataset('ImageSets/Segmentation/train.txt', data_root=str(tmp_path))
