"""The images that a model does worst on: which they are, and what is drawn of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdas.engine.data_error import DataError
from mmdas.engine.metrics import WorstImages
from mmdas.engine.metrics.worst_images import read_image
from mmdas.visualization.worst_figure import name_of, wrong_pixels

H, W, K = 6, 8, 3


def segmented(folder: Path, count: int) -> tuple[list[dict], list[float]]:
    """Samples of a segmentation, with files of one colour each, and the part of each that is right by a loop."""
    draw = np.random.default_rng(0)
    samples, scores = [], []
    for number in range(count):
        path = folder / f'{number}.png'
        Image.fromarray(np.full((H, W, 3), (number, 9, 200), np.uint8)).save(path)
        truth, prediction = draw.integers(0, K, (H, W)), draw.integers(0, K, (H, W))
        truth[draw.random((H, W)) < 0.2] = 255
        right = [truth[y, x] == prediction[y, x] for y in range(H) for x in range(W) if truth[y, x] != 255]
        scores.append(sum(right) / len(right))
        maps = {'gt_sem_seg': truth, 'pred_sem_seg': prediction}
        samples.append({name: {'data': torch.tensor(found)[None]} for name, found in maps.items()})
        samples[-1]['img_path'] = str(path)
    return samples, scores


def judge(metric: WorstImages, samples: list[dict], batch: int = 3) -> dict[str, float]:
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        metric.process({'inputs': [torch.zeros(3, H, W, dtype=torch.uint8)] * len(part)}, part)
    return metric.evaluate(len(samples))


def test_the_worst_of_a_segmentation_are_those_of_all_images_sorted(tmp_path: Path):
    samples, scores = segmented(tmp_path, 10)
    metric = WorstImages(str(tmp_path / 'out'), number=4)
    metric.dataset_meta = {'classes': ['a', 'b', 'c'], 'palette': [[0, 0, 0], [9, 9, 9], [90, 90, 90]]}
    found = judge(metric, samples)
    told = json.loads((tmp_path / 'out' / 'worst.json').read_text())
    order = sorted(range(10), key=scores.__getitem__)[:4]
    assert [Path(one['image']).stem for one in told] == [str(number) for number in order]
    assert [one['score'] for one in told] == pytest.approx([scores[number] for number in order], abs=1e-4)
    assert found == {'worst_images/mean': pytest.approx(100 * np.mean(scores), abs=0.01), 'worst_images/images': 10}
    with Image.open(tmp_path / 'out' / 'worst.png') as picture:
        colours = {colour for _, colour in picture.convert('RGB').getcolors(2**24)}
    assert {(number, 9, 200) for number in order} <= colours, 'the files are drawn as they are'
    assert not {(number, 9, 200) for number in set(range(10)) - set(order)} & colours


def test_images_that_are_not_kept_take_no_memory(tmp_path: Path):
    samples, _ = segmented(tmp_path, 9)
    metric = WorstImages(str(tmp_path), number=2)
    for sample in samples:
        metric.process({'inputs': [torch.zeros(3, H, W)]}, [sample])
        assert sum(one.image is not None for one in metric.results) <= 2


def test_an_image_of_a_classification_is_rated_by_the_probability_of_its_class(tmp_path: Path):
    scores = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
    samples = [{'gt_label': torch.tensor([0]), 'pred_score': row} for row in scores]
    metric = WorstImages(str(tmp_path), number=2)
    metric.dataset_meta = {'classes': ['cat', 'dog', 'cow']}
    judge(metric, samples)
    assert [one['score'] for one in json.loads((tmp_path / 'worst.json').read_text())] == [0.1, 0.3]
    assert (tmp_path / 'worst.png').stat().st_size > 1000
    with pytest.raises(DataError, match=r'images of one class; one has 2: \[0, 1\]'):
        metric.process({'inputs': [None]}, [{'gt_label': torch.tensor([0, 1]), 'pred_score': scores[0]}])
    for label in (-1, 3):
        with pytest.raises(DataError, match=f'a.png has the label {label}, and the network has 3 classes'):
            sample = {'gt_label': torch.tensor([label]), 'pred_score': scores[0], 'img_path': 'a.png'}
            metric.process({'inputs': [None]}, [sample])
    with pytest.raises(DataError, match='an image has no label'):
        metric.process({'inputs': [None]}, [{'pred_score': scores[0]}])


def test_a_class_without_a_name_is_its_number():
    assert [name_of(number, ('cat', 'dog')) for number in (0, 1, 2)] == ['cat', 'dog', '2']
    assert name_of(0, None) == '0'


def test_images_without_a_label_do_not_count_and_a_wrong_number_is_told(tmp_path: Path):
    maps = {name: {'data': torch.full((1, H, W), 255)} for name in ('gt_sem_seg', 'pred_sem_seg')}
    metric = WorstImages(str(tmp_path))
    metric.process({'inputs': [None]}, [maps])
    assert metric.results == []
    with pytest.raises(DataError, match='no pixel of the test has a label that counts, all are ignore_index=255'):
        metric.evaluate(1)
    with pytest.raises(ValueError, match='number is 0, expected 1 or more'):
        WorstImages(str(tmp_path), number=0)


def test_an_image_without_a_file_is_that_of_the_loader_in_rgb():
    pixels = torch.randint(0, 256, (3, H, W), dtype=torch.uint8)
    pixels[:, 0, 0] = torch.tensor([1, 2, 3], dtype=torch.uint8)  # BGR
    np.testing.assert_array_equal(read_image('', [pixels], 0), pixels.flip(0).permute(1, 2, 0).numpy())
    grey = read_image('', [torch.linspace(-1, 1, H * W).view(1, H, W)], 0)
    assert grey.shape == (H, W, 3) and (grey.min(), grey.max()) == (0, 255)


def test_wrong_pixels_are_red_and_ignored_ones_black():
    truth, prediction = np.array([[0, 1, 255]]), np.array([[0, 2, 0]])
    assert wrong_pixels(truth, prediction, 255).tolist() == [[[235, 235, 235], [200, 40, 40], [0, 0, 0]]]
