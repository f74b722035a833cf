from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdas.visualization import draw_predictions, labels_to_colours

PALETTE = [[10, 200, 30], [230, 25, 75], [0, 130, 201], [250, 190, 212]]
CLASSES = ['ground', 'one', 'two', 'three']


def label_maps(*labels: int) -> list[np.ndarray]:
    return [np.full((12, 16), label, dtype=np.uint8) for label in labels]


def colours_of(path: Path) -> set[tuple[int, ...]]:
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return set(map(tuple, np.unique(picture.reshape(-1, 3), axis=0).tolist()))


def test_each_label_becomes_its_colour_and_ignored_pixels_black() -> None:
    labels = np.array([[0, 3, 255], [2, 1, 0]])
    expected = [[PALETTE[0], PALETTE[3], [0, 0, 0]], [PALETTE[2], PALETTE[1], PALETTE[0]]]
    assert labels_to_colours(labels, PALETTE).tolist() == expected


def test_an_ignore_index_within_the_palette_is_black() -> None:
    assert labels_to_colours(np.array([[0, 1]]), PALETTE, ignore_index=0).tolist() == [[[0, 0, 0], PALETTE[1]]]


@pytest.mark.parametrize('label', [4, -1, 254])
def test_a_label_without_colour_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=rf'labels \[{label}\] have no colour in a palette of 4 classes'):
        labels_to_colours(np.array([[0, label, 255]]), PALETTE)


def test_colours_of_truth_and_of_every_model_appear_in_the_saved_picture(tmp_path: Path) -> None:
    images = [np.full((12, 16, 3), 77, dtype=np.uint8)] * 2
    predictions = {'plain': label_maps(1, 1), 'das': label_maps(2, 3)}
    draw_predictions(images, label_maps(0, 1), predictions, PALETTE).savefig(tmp_path / 'predictions.png', dpi=100)
    assert colours_of(tmp_path / 'predictions.png') >= {(77, 77, 77), *map(tuple, PALETTE)}


def test_columns_are_input_truth_and_models_in_order() -> None:
    figure = draw_predictions(
        [np.zeros((12, 16, 3), np.uint8)], label_maps(0), {'plain': label_maps(1), 'das': label_maps(2)}, PALETTE
    )
    assert [axes.get_title() for axes in figure.axes] == ['input', 'truth', 'plain', 'das']
    shown = [axes.images[0].get_array()[0, 0].tolist() for axes in figure.axes]
    assert shown == [[0, 0, 0], PALETTE[0], PALETTE[1], PALETTE[2]]


def test_legend_names_the_classes_that_occur() -> None:
    images = [np.zeros((12, 16, 3), np.uint8)] * 2
    figure = draw_predictions(images, label_maps(0, 255), {'das': label_maps(3, 0)}, PALETTE, classes=CLASSES)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['ground', 'three']


def test_a_model_without_prediction_of_an_image_is_named() -> None:
    images = [np.zeros((12, 16, 3), np.uint8)] * 2
    with pytest.raises(ValueError, match="1 label maps of 'das' for 2 images"):
        draw_predictions(images, label_maps(0, 1), {'das': label_maps(0)}, PALETTE)
