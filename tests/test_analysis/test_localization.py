"""From a map to a box, and the scores of boxes and masks against brute force."""

import cv2
import numpy as np
import pytest

from mmdas.analysis.localization import (
    BoxAccuracy,
    PixelPrecision,
    box_ious,
    box_of,
    components,
    largest_component,
    localize,
    localize_above,
    seeds,
    unit_map,
)


def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Components by hand, pixels that touch at sides or corners, in reading order."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        one, todo = set(), [start]
        left.discard(start)
        while todo:
            y, x = todo.pop()
            one.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            todo += near
        found.append(one)
    return found


def box_by_hand(pixels: set[tuple[int, int]]) -> tuple[int, int, int, int]:
    rows, columns = zip(*pixels, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def iou_by_hand(one: tuple, other: tuple) -> float:
    first, second = (
        {(y, x) for y in range(top, bottom) for x in range(left, right)} for left, top, right, bottom in (one, other)
    )
    return len(first & second) / len(first | second)


def random_boxes(rng: np.random.Generator, count: int, side: int = 12) -> np.ndarray:
    corners = rng.integers(0, side - 1, (count, 2))
    return np.concatenate([corners, corners + rng.integers(1, side - corners)], axis=1)


@pytest.mark.parametrize('seed', range(5))
def test_components_and_the_largest_one_are_those_of_a_flood(seed: int):
    mask = np.random.default_rng(seed).random((11, 14)) > 0.65
    numbers, boxes, areas = components(mask)
    expected = flood(mask)
    assert sorted(map(tuple, boxes.tolist())) == sorted(box_by_hand(one) for one in expected)
    assert sorted(areas.tolist()) == sorted(len(one) for one in expected)
    assert (numbers > 0).tolist() == mask.tolist()
    most = max(expected, key=len)  # the first of equal ones
    kept = largest_component(mask)
    assert {(int(y), int(x)) for y, x in zip(*np.nonzero(kept), strict=True)} == most
    assert box_of(kept) == box_by_hand(most)


def test_overlaps_are_those_of_counted_pixels():
    rng = np.random.default_rng(0)
    boxes, truths = random_boxes(rng, 6), random_boxes(rng, 5)
    expected = [[iou_by_hand(one, other) for other in truths.tolist()] for one in boxes.tolist()]
    np.testing.assert_allclose(box_ious(boxes, truths), expected)


def box_scores_by_hand(maps: list[np.ndarray], truths: list[np.ndarray], thresholds: list[float]) -> tuple:
    """MaxBoxAcc and MaxBoxAccV2 by their definitions."""
    plain, better = [], {iou: [] for iou in (0.3, 0.5, 0.7)}
    for threshold in thresholds:
        right, rights = 0, dict.fromkeys(better, 0)
        for scores, boxes in zip(maps, truths, strict=True):
            found = flood((scores - scores.min()) / (scores.max() - scores.min()) >= threshold)
            overlap = [max(iou_by_hand(box_by_hand(one), tuple(box)) for box in boxes.tolist()) for one in found]
            right += overlap[max(range(len(found)), key=lambda place: len(found[place]))] >= 0.5
            for iou in rights:
                rights[iou] += max(overlap) >= iou
        plain.append(right / len(maps))
        for iou, row in better.items():
            row.append(rights[iou] / len(maps))
    return 100 * max(plain), [100 * max(row) for row in better.values()]


def test_box_accuracy_is_its_definition_over_all_thresholds():
    rng = np.random.default_rng(1)
    truths = [random_boxes(rng, 1 + number % 2) for number in range(12)]
    maps = []
    for (left, top, right, bottom), *_ in truths:
        noise = rng.random((12, 12)) + rng.random((12, 12))
        noise[top:bottom, left:right] += 1.2
        maps.append(cv2.GaussianBlur(noise, (5, 5), 1.2) * 7 - 3)
    accuracy = BoxAccuracy(thresholds=20)
    for scores, boxes in zip(maps, truths, strict=True):
        accuracy.add(scores, boxes)
    found = accuracy.result()
    plain, better = box_scores_by_hand(maps, truths, [step / 20 for step in range(20)])
    assert 0 < plain < 100 and 0 < min(better) < max(better)
    assert found['MaxBoxAcc'] == pytest.approx(plain)
    assert [found[f'MaxBoxAccV2@{iou}'] for iou in (0.3, 0.5, 0.7)] == pytest.approx(better)
    assert found['MaxBoxAccV2'] == pytest.approx(np.mean(better))


def test_map_that_is_one_in_the_box_has_full_scores_whatever_its_range():
    scores = np.full((10, 12), -4.0)
    scores[2:7, 3:9] = 11
    accuracy = BoxAccuracy()
    accuracy.add(scores, [(3, 2, 9, 7)])
    assert accuracy.result()['MaxBoxAccV2'] == 100
    precision = PixelPrecision()
    precision.add(scores, scores > 0)
    assert precision.result() == pytest.approx(100)


def test_pixel_precision_is_the_sum_over_all_thresholds_of_all_pixels():
    rng = np.random.default_rng(2)
    steps, pixels = 16, []
    precision = PixelPrecision(steps)
    for _ in range(5):
        scores, mask, ignored = rng.random((9, 8)), rng.random((9, 8)) > 0.6, rng.random((9, 8)) > 0.9
        precision.add(scores, mask, ignored)
        stretched = (scores - scores.min()) / (scores.max() - scores.min())
        pixels += [(s, m) for s, m, i in zip(stretched.flat, mask.flat, ignored.flat, strict=True) if not i]
    expected, last = 0.0, 0.0
    for step in reversed(range(steps)):
        above = [m for s, m in pixels if s >= step / steps]
        recall = sum(above) / sum(m for _, m in pixels)
        expected += (sum(above) / max(len(above), 1)) * (recall - last)
        last = recall
    assert precision.result() == pytest.approx(100 * expected)


def scene(seed: int) -> tuple[np.ndarray, tuple[int, int, int, int], np.ndarray]:
    """A disc of one colour on another, its box, and a map that knows a part of it."""
    rng = np.random.default_rng(seed)
    y, x = rng.integers(16, 32, 2)
    rows, columns = np.mgrid[:48, :48]
    disc = (rows - y) ** 2 + (columns - x) ** 2 <= 100
    image = np.where(disc[..., None], (200, 60, 40), (60, 120, 90)) + rng.normal(0, 8, (48, 48, 3))
    saliency = np.exp(-((rows - y - 3) ** 2 + (columns - x + 2) ** 2) / 60) * (1 + 0.3 * rng.random((48, 48)))
    return image.clip(0, 255).astype(np.uint8), box_of(disc), saliency


@pytest.mark.parametrize('seed', range(4))
def test_cut_finds_all_of_an_object_of_which_the_map_shows_a_part(seed: int):
    image, box, saliency = scene(seed)
    found = localize(image, saliency)
    seeded = box_ious([box_of(largest_component(found.seeds == cv2.GC_FGD))], [box])[0, 0]
    assert box_ious([found.box], [box])[0, 0] > max(0.9, seeded + 0.1)
    assert found.box == box_of(found.mask) and found.mask.dtype == bool
    again = localize(image, saliency)
    assert (again.mask == found.mask).all()


def test_seeds_are_the_shares_of_pixels_that_the_quantiles_say():
    found = seeds(np.random.default_rng(0).random((40, 50)), foreground=0.9, background=0.25)
    assert (found == cv2.GC_FGD).sum() == 200
    assert (found == cv2.GC_BGD).sum() == 500
    assert (found == cv2.GC_PR_BGD).sum() == 1300


def test_map_that_points_nowhere_gives_the_whole_image():
    found = localize(np.zeros((8, 10, 3), np.uint8), np.ones((8, 10)))
    assert found.box == (0, 0, 10, 8) and found.mask.all()
    assert localize_above(np.ones((8, 10)), 0.4).box == (0, 0, 10, 8)


def test_threshold_takes_the_largest_component_of_the_stretched_map():
    scores = np.zeros((10, 10))
    scores[1:3, 1:3] = 8
    scores[5:9, 4:9] = 5
    assert localize_above(scores, 0.5).box == (4, 5, 9, 9)
    assert localize_above(scores, 0.9).box == (1, 1, 3, 3)
    assert localize_above(scores, 1.0).box == (1, 1, 3, 3)


@pytest.mark.parametrize(
    ('call', 'match'),
    [
        (lambda: seeds(np.zeros((4, 4)), 0.2, 0.3), 'expected 0 < background <= foreground < 1'),
        (lambda: seeds(np.full((4, 4), np.nan)), 'finite'),
        (lambda: localize(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4))), 'is expected for a map'),
        (lambda: localize_above(np.zeros((4, 4)), 1.5), 'threshold is 1.5'),
        (lambda: unit_map(np.zeros(4)), 'shape'),
        (lambda: box_of(np.zeros((3, 3))), 'empty mask'),
        (lambda: BoxAccuracy(0), 'thresholds is 0'),
        (lambda: BoxAccuracy().add(np.zeros((3, 3)), []), 'without a true box'),
        (lambda: BoxAccuracy().result(), 'no image'),
        (lambda: PixelPrecision().result(), 'no pixel'),
        (lambda: PixelPrecision().add(np.zeros((3, 3)), np.zeros((3, 4))), 'the mask is'),
    ],
)
def test_unusable_input_is_told(call, match):
    with pytest.raises(ValueError, match=match):
        call()
