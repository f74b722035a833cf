"""Copies of an image are known by their content and stay in one part of a holdout."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, ConcatDataset

from mmdas.datasets import HoldoutDataset, content, holdout_indices
from mmdas.datasets.content import find_copies

SIZE = 3 * content.BLOCK


class Listed(BaseDataset):
    """Samples as they are given."""

    def __init__(self, samples: list[dict], **options) -> None:
        self.samples = samples
        super().__init__(**options)

    def load_data_list(self) -> list[dict]:
        return self.samples


def files(folder: Path, contents: list[bytes], prefix: str = '') -> Listed:
    """A data set of files with these contents."""
    paths = [folder / f'{prefix}{number}.jpg' for number in range(len(contents))]
    for path, text in zip(paths, contents, strict=True):
        path.write_bytes(text)
    return Listed([dict(img_path=str(path)) for path in paths])


def noise(seed: int) -> bytes:
    return np.random.RandomState(seed).bytes(SIZE)


def contents_of(dataset) -> set[bytes]:
    return {Path(dataset.get_data_info(index)['img_path']).read_bytes() for index in range(len(dataset))}


def test_files_of_the_same_content_are_copies_whatever_their_names(tmp_path):
    dataset = files(tmp_path, [noise(0), noise(1), noise(0), noise(1), noise(0), noise(2)])
    assert find_copies([dataset]) == [[(0, 0), (0, 2), (0, 4)], [(0, 1), (0, 3)]]


@pytest.mark.parametrize('place', [0, SIZE // 2, SIZE - 1])
def test_files_that_differ_in_a_byte_are_no_copies(tmp_path, place):
    other = bytearray(noise(0))
    other[place] ^= 1
    assert find_copies([files(tmp_path, [noise(0), bytes(other)])]) == []


@pytest.mark.slow
def test_a_name_that_is_listed_twice_is_a_copy(tmp_path):
    sample = files(tmp_path, [noise(0)]).get_data_info(0)
    assert find_copies([Listed([sample, dict(sample)])]) == [[(0, 0), (0, 1)]]


@pytest.mark.slow
def test_copies_are_found_across_data_sets(tmp_path):
    datasets = [files(tmp_path, [noise(0), noise(1)], 'a'), files(tmp_path, [noise(2), noise(0)], 'b')]
    assert find_copies(datasets) == [[(0, 0), (1, 1)]]


def test_arrays_are_compared_by_their_values_shape_and_type():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    images = [image, image.copy(), image.reshape(2, 6), image.view(np.int8), image + 1]
    assert find_copies([Listed([dict(img=one) for one in images])]) == [[(0, 0), (0, 1)]]


def test_samples_without_an_image_are_no_copies():
    assert find_copies([Listed([dict(number=1), dict(number=1)])]) == []


@pytest.mark.slow
def test_parts_of_a_file_are_no_copies_whatever_their_labels(tmp_path):
    path = files(tmp_path, [noise(0)]).get_data_info(0)['img_path']
    places = [(0, 0), (0, 64), (0, 0)]
    samples = [dict(img_path=path, corner=place, gt_label=number) for number, place in enumerate(places)]
    assert find_copies([Listed(samples)]) == [[(0, 0), (0, 2)]]


def test_files_that_are_not_here_are_known_by_name(tmp_path):
    samples = [dict(img_path=path) for path in ('s3://a.jpg', 's3://b.jpg', str(tmp_path / 'c.jpg'), 's3://a.jpg')]
    assert find_copies([Listed(samples)]) == [[(0, 0), (0, 3)]]


def test_files_of_one_size_are_told_apart_by_a_block(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(content, '_content', lambda path: read.append(path) or path)
    find_copies([files(tmp_path, [noise(seed) for seed in range(5)])])
    assert read == []


def test_both_parts_of_a_holdout_read_the_files_once(tmp_path, monkeypatch):
    read = []
    middle = content._middle
    monkeypatch.setattr(content, '_middle', lambda path: read.append(path) or middle(path))
    dataset = files(tmp_path, [noise(seed) for seed in range(4)])
    for part in ('weights', 'policy'):
        HoldoutDataset(dataset, part)
    assert len(read) == 4


def test_no_image_is_in_both_parts_of_a_holdout(tmp_path):
    dataset = files(tmp_path, [noise(number % 12) for number in range(30)])
    for seed in range(20):
        weights, policy = (contents_of(HoldoutDataset(dataset, part, seed=seed)) for part in ('weights', 'policy'))
        assert weights.isdisjoint(policy)
        assert len(weights | policy) == 12


@pytest.mark.slow
def test_no_image_of_joined_data_sets_is_in_both_parts(tmp_path):
    whole = files(tmp_path, [noise(number) for number in range(12)], 'a')
    some = files(tmp_path, [noise(number) for number in range(5)], 'b')
    for seed in range(10):
        joined = ConcatDataset([whole, some])
        weights, policy = (contents_of(HoldoutDataset(joined, part, seed=seed)) for part in ('weights', 'policy'))
        assert weights.isdisjoint(policy)
        assert len(weights | policy) == 12


@pytest.mark.slow
def test_a_data_set_whose_copies_lie_in_the_other_part_is_left_out_of_a_joined_one(tmp_path):
    whole = files(tmp_path, [noise(number) for number in range(8)], 'a')
    copies = files(tmp_path, [noise(number) for number in holdout_indices(8, 0.5, 0)['weights']], 'b')
    weights, policy = (HoldoutDataset(ConcatDataset([whole, copies]), part) for part in ('weights', 'policy'))
    assert (len(weights), len(policy)) == (8, 4)


@pytest.mark.parametrize('kind', ['files', 'arrays'])
@pytest.mark.slow
def test_without_copies_the_split_is_the_one_of_the_indices(tmp_path, kind):
    dataset = files(tmp_path, [noise(number) for number in range(9)])
    if kind == 'arrays':
        dataset = Listed([dict(img=np.full((2, 2, 3), number), img_path=None) for number in range(9)])
    for part, indices in holdout_indices(9, 0.5, seed=3).items():
        holdout = HoldoutDataset(dataset, part, seed=3)
        assert [holdout.get_data_info(place)['img_path'] for place in range(len(holdout))] == [
            dataset.get_data_info(index)['img_path'] for index in indices
        ]


def test_copies_are_told_once_with_an_example(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr('mmdas.datasets.holdout.print_log', lambda text, *others: told.append(text))
    dataset = files(tmp_path, [noise(number % 3) for number in range(6)])
    for part in ('weights', 'policy'):
        HoldoutDataset(dataset, part)
    [text] = told
    assert text.startswith(f'3 samples are copies of others, such as {tmp_path}/3.jpg of {tmp_path}/0.jpg; ')


def test_copies_of_one_image_cannot_be_held_out(tmp_path):
    with pytest.raises(ValueError, match='part of the holdout would be empty, since the samples are copies'):
        HoldoutDataset(files(tmp_path, [noise(0)] * 4), 'weights')
