"""The picture of frames that part late."""

import numpy as np
import pytest
import torch

from mmdas.visualization import draw_parting

FRAMES = [np.full((8, 12, 3), 60 * place, np.uint8) for place in range(3)]


def test_rows_show_their_maps_in_one_scale():
    rows = {'at once': torch.rand(3, 4, 6), 'after layer1': 5 * torch.rand(3, 4, 6)}
    figure = draw_parting(FRAMES, rows)
    shown = [axes.images[0] for axes in figure.axes]
    assert len(shown) == 9
    assert [axes.get_title() for axes in figure.axes[:3]] == ['t = -1', 't = +0', 't = +1']
    for place, values in enumerate([*rows['at once'], *rows['after layer1']]):
        assert (np.asarray(shown[3 + place].get_array()) == values.numpy()).all()
    assert len({image.get_clim() for image in shown[3:]}) == 1


def test_maps_of_other_frames_are_refused():
    with pytest.raises(ValueError, match="'at once' has 2 maps for 3 frames; give one for each"):
        draw_parting(FRAMES, {'at once': torch.rand(2, 4, 6)})
