"""The picture of what regularisers drop."""

import numpy as np
import pytest
import torch

from mmdas.visualization import draw_dropped


def maps(count: int) -> list[torch.Tensor]:
    return [
        torch.rand(count, 1, 4, 4),
        torch.ones(count, 1, 4, 4),
        torch.rand(count, 1, 4, 4),
        torch.ones(count, 1, 4, 4),
    ]


def test_dropped_places_are_left_out_and_others_keep_their_colour():
    attention, kept, channel, blocks = maps(2)
    kept[1, 0, 2, 3] = 0
    images = [np.zeros((8, 8, 3), np.uint8)] * 2
    figure = draw_dropped(images, attention, kept, channel, blocks)
    assert len(figure.axes) == 10
    whole, left = (figure.axes[5 + column].images[0].get_array() for column in (1, 2))
    assert np.ma.getmaskarray(left).tolist() == (kept[1, 0] == 0).tolist()
    assert (np.asarray(whole) == attention[1, 0].numpy()).all()
    limits = [figure.axes[5 + column].images[0].get_clim() for column in (1, 2)]
    assert limits[0] == limits[1]


def test_maps_of_other_images_are_refused():
    attention, kept, channel, blocks = maps(2)
    with pytest.raises(ValueError, match="1 maps of 'ADL leaves' for 2 images; give one for each"):
        draw_dropped([np.zeros((8, 8, 3), np.uint8)] * 2, attention, kept[:1], channel, blocks)
