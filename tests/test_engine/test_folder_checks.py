"""Folders of classes have the names that a config gives them, and one number in all parts."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmpretrain.datasets import CustomDataset

from mmdas.commands.parser import CommandError, told_in_one_line
from mmdas.engine.data_error import DataError
from mmdas.engine.hooks.folder_checks import check_folders


def write(root: Path, *names: str, **options) -> CustomDataset:
    """A data set of folders with a file each."""
    for name in names:
        (root / name).mkdir(parents=True)
        np.zeros(1).tofile(root / name / 'a.png')
    return CustomDataset(data_prefix=str(root), pipeline=[], **options)


def test_names_in_another_order_than_the_folders_are_refused_with_the_right_order(tmp_path: Path):
    dataset = write(tmp_path, 'dog', 'cat', classes=['dog', 'cat'])
    assert dataset.get_data_info(0)['img_path'].endswith('cat/a.png')  # class 0, which is named dog
    with pytest.raises(
        DataError, match=r"classes of train_dataloader are \['dog', 'cat'\].*set classes=\['cat', 'dog'\]"
    ):
        check_folders(ConcatDataset([dataset]), 'train', {})


@pytest.mark.parametrize('options', [{}, {'classes': ['cat', 'dog']}, {'classes': ['Felis', 'Canis']}])
def test_names_of_the_folders_or_others_in_their_order_pass(options: dict, tmp_path: Path):
    known: dict[str, int] = {}
    check_folders(write(tmp_path / 'train', 'dog', 'cat', **options), 'train', known)
    check_folders(write(tmp_path / 'val', 'dog', 'cat', **options), 'val', known)
    assert known == {'cat': 0, 'dog': 1}


def test_a_folder_with_another_number_in_another_part_is_refused(tmp_path: Path):
    known: dict[str, int] = {}
    check_folders(write(tmp_path / 'train', 'cat', 'dog', classes=['A', 'B']), 'train', known)
    with pytest.raises(DataError, match='folder dog is class 0 of val_dataloader, .* and class 1 of another part'):
        check_folders(write(tmp_path / 'val', 'dog', 'eel', classes=['A', 'B']), 'val', known)


def test_data_sets_of_lists_are_left_alone(tmp_path: Path):
    (tmp_path / 'list.txt').write_text('a.png 0\n')
    check_folders(
        CustomDataset(ann_file=str(tmp_path / 'list.txt'), data_prefix=str(tmp_path), pipeline=[]), 'train', {}
    )
    check_folders([1, 2], 'train', {})


def test_what_a_data_set_asserts_is_told_in_one_line_and_other_assertions_are_not(tmp_path: Path):
    text = r'a data set of the config: The number of subfolders \(1\)'
    with pytest.raises(CommandError, match=text), told_in_one_line():
        write(tmp_path, 'cat', classes=['cat', 'dog'])
    (tmp_path / 'none' / 'cat').mkdir(parents=True)
    with pytest.raises(CommandError, match='Found 0 files in subfolders of: .*none'), told_in_one_line():
        CustomDataset(data_prefix=str(tmp_path / 'none'), pipeline=[])
    with pytest.raises(AssertionError, match='a fault of ours'), told_in_one_line():
        raise AssertionError('a fault of ours')


def test_missing_file_of_a_data_set_is_told_with_what_to_do_and_another_one_as_it_is(tmp_path: Path):
    missing = tmp_path / 'train.txt'
    with pytest.raises(CommandError, match=f'there is no {missing}; make, unpack or link'), told_in_one_line():
        CustomDataset(data_root=str(tmp_path), data_prefix='', ann_file='train.txt')
    with pytest.raises(CommandError, match='^.Errno 2. No such file'), told_in_one_line():
        missing.read_text()
