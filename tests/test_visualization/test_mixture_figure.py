from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdas.search.das import DASCell
from mmdas.visualization import draw_mixtures


@pytest.mark.parametrize('space', ['paper', 'large'])
@pytest.mark.slow
def test_heat_map_of_a_cell_shows_its_weights_by_edge_and_operation(space: str, tmp_path: Path) -> None:
    cell = DASCell(num_frames=4, space=space)
    weights, names = cell.weights().detach().numpy(), [operation.name for operation in cell.operations]
    figure = draw_mixtures(weights, cell.edges, names)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert [text.get_text() for text in axes.get_yticklabels()] == [f'{a} → {b}' for a, b in cell.edges]
    figure.savefig(tmp_path / 'mixtures.png', dpi=100)
    height, width = cv2.imread(str(tmp_path / 'mixtures.png')).shape[:2]
    assert height > 15 * len(cell.edges) and width > 40 * len(names)


def test_each_weight_is_written_into_its_field() -> None:
    weights = np.array([[0.25, 0.75], [0.1, 0.9], [1.0, 0.0]])
    figure = draw_mixtures(weights, [(0, 2), (1, 2), (0, 3)], ['identity', 'rotate'])
    written = {text.get_position()[::-1]: float(text.get_text()) for text in figure.axes[0].texts}
    assert written == dict(np.ndenumerate(weights))


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r'shape \(2, 3\), but there are 3 edges and 2 operations'):
        draw_mixtures(np.zeros((2, 3)), [(0, 2), (1, 2), (0, 3)], ['identity', 'rotate'])
