"""The picture of a policy of test time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmdas.search.test_time import View, ViewPolicy
from mmdas.visualization import draw_views, save_view_figure

POLICY = ViewPolicy(
    (View(), View(flip=True), View('rotate', 8.0, size=1.5)),
    (0.5, 0.3, 0.2),
    {'scores': {'image': 40.0, 'views': 41.5}, 'metric': 'mIoU', 'milliseconds_an_image': {'image': 1.5, 'views': 5.0}},
)


@pytest.mark.parametrize('channels', [1, 3, 5])
def test_every_view_is_shown_with_its_weight(channels: int):
    image = torch.rand(channels, 20, 30)
    figure = draw_views(POLICY, image)
    assert len(figure.axes) == 3
    for axes, view, weight in zip(figure.axes, POLICY.views, POLICY.weights, strict=True):
        shown = view.apply(image[None])[0].clamp(0, 1)
        drawn = np.asarray(axes.images[0].get_array()).transpose(2, 0, 1)
        np.testing.assert_allclose(drawn, shown.numpy() if channels == 3 else shown[:1].expand(3, -1, -1).numpy())
        assert axes.get_title().startswith(f'{weight:.2f}')
    assert 'flip' in figure.axes[1].get_title()
    (notes,) = figure.texts
    assert 'mIoU: 40.0 image, 41.5 views' in notes.get_text()


def test_titles_do_not_overlap(tmp_path: Path):
    views = tuple(View('translate_x', 0.01 * number, flip=True, size=1.25) for number in range(1, 4))
    figure = draw_views(ViewPolicy((View(), *views), (0.25,) * 4), torch.rand(3, 20, 30))
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(not one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[number + 1 :])
    width, height = figure.bbox.width, figure.bbox.height
    assert all(box.x1 <= width and box.y1 <= height and box.x0 >= 0 for box in boxes)
    assert all(box.y0 >= axes.get_window_extent().y1 for box, axes in zip(boxes, figure.axes, strict=True))


def test_picture_is_written(tmp_path: Path):
    save_view_figure(POLICY, torch.rand(3, 20, 30), tmp_path / 'views.png')
    assert (tmp_path / 'views.png').stat().st_size > 1000
