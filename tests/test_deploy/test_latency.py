"""Latency is measured turn by turn; the picture of an export shows what it is given."""

import numpy as np

from mmdas.deploy.latency import ROUNDS, WARMUP, measure
from mmdas.visualization.export_figure import draw_exported


def test_ways_take_turns_and_warm_up_is_not_counted():
    calls: list[str] = []
    times = measure({name: lambda name=name: calls.append(name) for name in ('a', 'b')})
    assert calls == ['a', 'b'] * (WARMUP + ROUNDS)
    assert [len(seconds) for seconds in times.values()] == [ROUNDS, ROUNDS]
    assert min(map(min, times.values())) >= 0


def test_picture_has_pixels_frames_and_both_predictions():
    rng = np.random.default_rng(0)
    images, clips = (rng.integers(0, 256, (2, *frames, 6, 8, 3), np.uint8) for frames in ((), (3,)))
    labels = rng.integers(0, 5, (2, 2, 6, 8))
    figure = draw_exported(images, clips, *labels, ['x', 'y'])
    for index, panels in enumerate(np.array(figure.axes).reshape(2, 6)):
        shown = [np.asarray(axes.images[0].get_array()) for axes in panels]
        wanted = [images[index], *clips[index], labels[0][index], labels[1][index]]
        assert all(np.array_equal(a, b) for a, b in zip(shown, wanted, strict=True))
