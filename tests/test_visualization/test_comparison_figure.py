"""The picture of a comparison."""

from mmdas.visualization import draw_comparison

RESULT = {
    'metric': 'mIoU',
    'unit': 'iters',
    'winner': 'a',
    'seconds': {'plain': 1.0, 'a': 2.0, 'b': 3.0, 'late': 0.0},
    'rungs': [
        {'length': 5, 'seeds': 1, 'scores': {'plain': {'0': 1.0}, 'a': {'0': 2.0}, 'b': {'0': 0.5}, 'late': {}}},
        {'length': 10, 'seeds': 2, 'scores': {'plain': {'0': 2.0, '1': 4.0}, 'a': {'0': 5.0, '1': 6.0}}},
    ],
}


def test_lines_are_the_means_and_points_the_seeds():
    (axes,) = draw_comparison(RESULT).axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines if not line.get_label().startswith('_')}
    assert lines == {'plain': [1.0, 3.0], 'a': [2.0, 5.5], 'b': [0.5]}
    points = [list(line.get_ydata()) for line in axes.lines if line.get_label().startswith('_')]
    assert points == [[2.0, 4.0], [5.0, 6.0], [0.5]]
