"""Labels that nothing can be learned from are found and named."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.datasets import HoldoutDataset
from mmdas.engine import LabelCheckHook
from mmdas.engine.data_error import DataError
from mmdas.engine.hooks.label_checks import (
    check_class_names,
    check_labels,
    check_num_classes,
    find_label_faults,
    read_samples,
    size_fault,
)

SIZE = (12, 16)
CLASSES = ('ground', 'square', 'disc')


def mask(*values: int) -> np.ndarray:
    """A label map whose rows go through the values."""
    rows = np.resize(np.array(values, np.uint8), SIZE[0])
    return np.repeat(rows[:, None], SIZE[1], axis=1)


def write_data(folder: Path, labels: Sequence[np.ndarray], classes: Sequence[str] = CLASSES, **options):
    """Images with these label maps, as a data set of MMSegmentation."""
    for part in ('img', 'ann'):
        (folder / part).mkdir()
    for number, label in enumerate(labels):
        cv2.imwrite(str(folder / f'img/{number}.png'), np.full((*SIZE, 3), number, np.uint8))
        cv2.imwrite(str(folder / f'ann/{number}.png'), label)
    with DefaultScope.overwrite_default_scope('mmseg'):
        config = dict(
            type='BaseSegDataset',
            data_root=str(folder),
            data_prefix=dict(img_path='img', seg_map_path='ann'),
            img_suffix='.png',
            metainfo=dict(classes=classes),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')],
        )
        return DATASETS.build({**config, **options})


def faults(dataset, count: int = 16, classes: Sequence[str] = CLASSES) -> dict[str, str]:
    return dict(find_label_faults(dataset, count, 255, classes))


@pytest.mark.slow
def test_labels_of_all_classes_have_no_fault(tmp_path: Path):
    assert faults(write_data(tmp_path, [mask(0, 1), mask(0, 2, 255)])) == {}


def test_masks_of_0_and_255_are_named_with_the_remedy(tmp_path: Path):
    fault = faults(write_data(tmp_path, [mask(0, 255), mask(0)], CLASSES[:2]), classes=CLASSES[:2])['one class']
    assert f'such as {tmp_path}/ann/1.png, hold no class but [0]' in fault
    assert 'Write masks of 0 and 255 as 0 and 1' in fault


def test_classes_without_a_pixel_are_named_where_all_files_are_looked_at(tmp_path: Path):
    dataset = write_data(tmp_path, [mask(0, 1), mask(0)])
    assert "the classes ['disc'] have no pixel in the 2 label images" in faults(dataset)['classes']
    assert 'classes' not in faults(dataset, count=1)


def test_zero_label_that_the_data_set_reduces_is_no_class(tmp_path: Path):
    dataset = write_data(tmp_path, [mask(0, 1, 2, 3)], reduce_zero_label=True)
    assert faults(dataset) == {}


def test_labels_of_another_size_than_their_image_are_named(tmp_path: Path):
    dataset = write_data(tmp_path, [mask(0, 1, 2), cv2.resize(mask(0, 1, 2), (32, 24))])
    assert f'{tmp_path}/ann/1.png is of size 24 x 32, its image of 12 x 16' in faults(dataset)['size']


def test_labels_are_looked_at_within_wrappers(tmp_path: Path):
    dataset = HoldoutDataset(write_data(tmp_path, [mask(0, 255)] * 4), 'weights')
    assert 'one class' in faults(dataset)


@pytest.mark.parametrize('dataset', [[1, 2, 3], SimpleNamespace(pipeline=None), torch.utils.data.TensorDataset()])
def test_data_sets_without_label_files_have_no_fault(dataset):
    assert faults(dataset) == {}


def test_label_file_that_cannot_be_read_is_left_to_the_run(tmp_path: Path):
    dataset = write_data(tmp_path, [mask(0, 1, 2), mask(0, 1, 2)])
    (tmp_path / 'ann/0.png').unlink()
    assert faults(dataset) == {}


def seg_sample(labels: np.ndarray | torch.Tensor, **meta) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(img_path='a.jpg', seg_map_path='a.png', **meta))
    sample.gt_sem_seg = PixelData(data=torch.as_tensor(labels).long())
    return sample


def test_label_image_of_colours_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r'label image a\.png is of shape \(12, 16, 3\): it stores colours'):
        check_labels(seg_sample(np.zeros((*SIZE, 3))), 3)


def test_error_of_label_255_says_how_masks_are_written():
    with pytest.raises(ValueError, match=r'labels \[255\] of a\.png .* masks of 0 and 255 must become 0 and 1'):
        check_labels(seg_sample(mask(0, 255)[None]), 2, ignore_index=9)


@pytest.mark.parametrize(
    ('image', 'original', 'fits'),
    [((12, 16), None, True), ((24, 32), (12, 16), True), ((24, 32), (24, 32), False), ((16, 12), None, False)],
)
def test_labels_have_the_size_of_the_image_or_of_its_file(image, original, fits):
    sample = seg_sample(mask(0)[None], **({'ori_shape': original} if original else {}))
    assert (size_fault(sample, torch.zeros(3, *image)) is None) == fits


def test_fewer_outputs_than_classes_are_an_error_with_both_numbers_and_the_key():
    with pytest.raises(ValueError, match=r'num_classes of the head is 2, .* train_dataloader has 3 .* num_classes=3'):
        check_num_classes(2, CLASSES, 'num_classes of the head', 'train')


def test_more_outputs_than_classes_are_a_warning_and_as_many_are_right():
    assert check_num_classes(3, CLASSES, 'head.num_classes', 'train') is None
    assert 'head.num_classes is 20' in check_num_classes(20, CLASSES, 'head.num_classes', 'train')


def test_classes_of_all_parts_have_the_same_numbers():
    with pytest.raises(
        ValueError, match=r"class 0 is 'a' in train_dataloader and 'b' in val_dataloader; .* same order"
    ):
        check_class_names(('b', 'a'), 'val', {'train': ['a', 'b']})
    found = check_class_names(['a', 'c', 'd'], 'val', {'train': ('a', 'b')})
    assert found.startswith("class 1 is 'b' in train_dataloader and 'c' in val_dataloader: labels of both")
    assert check_class_names(('a', 'b'), 'test', {'train': ['a', 'b', 'c'], 'val': ['A']}) is None
    assert check_class_names(['0', '1'], 'val', {'train': [0, 1]}) is None
    assert check_class_names(['d', 'e'], 'val', {'train': ['a', 'b']}) is None  # of a retrieval


class Head(nn.Module):
    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        super().__init__()
        self.num_classes, self.ignore_index = num_classes, ignore_index


def run_hook(monkeypatch, samples: list, place: str = 'decode_head', num_classes: int = 3, batch: int = 1) -> list[str]:
    """What a hook warns of in an epoch of these samples."""
    warnings = []
    monkeypatch.setattr('mmdas.engine.hooks.label_check_hook.print_log', lambda text, *others: warnings.append(text))
    model = nn.Module()
    model.add_module(place, Head(num_classes))
    dataset = torch.utils.data.TensorDataset(torch.zeros(len(samples)))
    dataset.metainfo = dict(classes=CLASSES[:num_classes])
    runner = SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset))
    hook = LabelCheckHook()
    hook.before_train(runner)
    for start in range(0, len(samples), batch):
        hook.before_train_iter(runner, start, dict(data_samples=samples[start : start + batch]))
    return warnings


def test_first_epoch_ends_with_the_classes_that_no_label_held(monkeypatch):
    samples = [seg_sample(mask(0, 255)[None]), seg_sample(mask(0, 1)[None])]
    [warning] = run_hook(monkeypatch, samples)
    assert "the classes ['disc'] have no pixel in the first 2 images, the last a.png" in warning


def test_first_epoch_with_all_classes_ends_without_a_word(monkeypatch):
    assert run_hook(monkeypatch, [seg_sample(mask(0, 255)[None]), seg_sample(mask(1, 2)[None])]) == []


def test_classes_of_images_are_ticked_off_too(monkeypatch):
    samples = [DataSample(metainfo=dict(img_path='a.jpg')).set_gt_label(label) for label in (0, 2, 0)]
    [warning] = run_hook(monkeypatch, samples, 'head')
    assert "['square'] have no label in the first 3 images" in warning


@pytest.mark.parametrize('count', [6000, 2001])
def test_images_sorted_by_their_classes_are_no_false_alarm(monkeypatch, count: int):
    labels = [3 * index // count for index in range(count)]
    samples = [DataSample(metainfo=dict(img_path='a.jpg')).set_gt_label(label) for label in labels]
    assert run_hook(monkeypatch, samples, 'head') == []


def test_class_that_sorted_images_lack_is_named_after_the_last_of_them(monkeypatch):
    samples = [DataSample(metainfo=dict(img_path='a.jpg')).set_gt_label(2 * (index > 2500)) for index in range(5000)]
    [warning] = run_hook(monkeypatch, samples, 'head')
    assert "['square'] have no label in the first 5000 images" in warning


def test_batch_that_is_ignored_wholly_is_named_once(monkeypatch):
    samples = [seg_sample(mask(255)[None])] * 2 + [seg_sample(mask(0, 1, 2)[None])]
    warnings = run_hook(monkeypatch, samples)
    assert warnings == ['all pixels of a batch, as of a.png, are ignored: nothing is learned']


def test_one_channel_of_a_decode_head_stands_for_two_classes(monkeypatch):
    model = nn.Module()
    model.decode_head = Head(1)
    dataset = torch.utils.data.TensorDataset(torch.zeros(1))
    dataset.metainfo = dict(classes=CLASSES[:2])
    runner = SimpleNamespace(model=model, test_dataloader=SimpleNamespace(dataset=dataset))
    LabelCheckHook().before_test(runner)
    dataset.metainfo = dict(classes=CLASSES)
    with pytest.raises(ValueError, match='num_classes of the decode_head is 2'):
        LabelCheckHook().before_test(runner)


def before_training(monkeypatch, classes: int, **datasets) -> list[str]:
    """What a hook warns of before a training with these data sets."""
    warnings: list[str] = []
    monkeypatch.setattr('mmdas.engine.hooks.label_check_hook.print_log', lambda text, *others: warnings.append(text))
    model = nn.Module()
    model.decode_head = Head(classes)
    loaders = {f'{mode}_dataloader': SimpleNamespace(dataset=dataset) for mode, dataset in datasets.items()}
    LabelCheckHook().before_train(SimpleNamespace(model=model, **loaders))
    return warnings


def test_validation_of_other_classes_is_told_before_the_training(monkeypatch):
    parts = {mode: torch.utils.data.TensorDataset(torch.zeros(1)) for mode in ('train', 'val')}
    parts['train'].metainfo, parts['val'].metainfo = dict(classes=CLASSES), dict(classes=(*CLASSES[:2], 'other'))
    assert any(
        f"class 2 is {CLASSES[2]!r} in train_dataloader and 'other' in" in text
        for text in before_training(monkeypatch, 3, **parts)
    )
    parts['val'].metainfo = dict(classes=CLASSES[::-1])
    with pytest.raises(ValueError, match='the same order'):
        before_training(monkeypatch, 3, **parts)


@pytest.mark.parametrize('mode', ['train', 'val'])
def test_labels_outside_the_classes_are_an_error_before_the_training(tmp_path: Path, monkeypatch, mode: str):
    dataset = write_data(tmp_path, [mask(0, 1, 2), mask(0, 7)])
    with pytest.raises(DataError, match=rf'labels \[7\] of {tmp_path}/ann/1\.png lie outside the 3 classes'):
        before_training(monkeypatch, 3, **{mode: dataset})


def test_masks_of_0_and_255_throughout_a_training_set_are_an_error(tmp_path: Path, monkeypatch):
    dataset = write_data(tmp_path, [mask(0, 255)] * 20, CLASSES[:2])
    with pytest.raises(DataError, match=r'the 20 label images looked at, .* hold no class but \[0\]'):
        before_training(monkeypatch, 2, train=dataset)


def test_masks_of_0_and_255_in_the_files_looked_at_first_are_a_warning_where_others_hold_classes(
    tmp_path: Path, monkeypatch
):
    labels = [mask(0, 255) for _ in range(20)]
    labels[12] = mask(0, 1)  # fifth by name, which 16 of 20 leave out
    dataset = write_data(tmp_path, labels, CLASSES[:2])
    assert 'one class' in faults(dataset, classes=CLASSES[:2])
    assert any('hold no class but [0]' in text for text in before_training(monkeypatch, 2, train=dataset))


def test_masks_of_0_and_255_in_a_validation_set_are_a_warning(tmp_path: Path, monkeypatch):
    dataset = write_data(tmp_path, [mask(0, 255)] * 3, CLASSES[:2])
    assert 'hold no class but [0]' in before_training(monkeypatch, 2, val=dataset)[0]


def test_looking_at_samples_leaves_the_random_state_alone(tmp_path: Path):
    dataset = write_data(tmp_path, [mask(0, 1)] * 3)
    dataset.pipeline.transforms.insert(2, lambda results: {**results, 'drawn': (torch.rand(1), np.random.rand())})
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    assert len(list(read_samples(dataset, 2))) == 2
    assert (torch.rand(1), np.random.rand()) == expected
