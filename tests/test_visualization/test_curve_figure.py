"""Pictures of curves and confusions show the numbers that they are given."""

from mmdas.commands.analyze_logs import unit_of
from mmdas.visualization import draw_confusion, draw_curves
from mmdas.visualization.report import RunRecord


def test_each_name_has_a_field_with_a_line_for_each_run():
    curves = {'loss': {'a': [(1, 3.0), (2, 2.0)], 'b': [(1, 4.0)]}, 'mIoU': {'b': [(1, 50.0)]}}
    figure = draw_curves(curves, {'mIoU': 'epoch'})
    loss, score = figure.axes
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 3], [2, 2]], [[1, 4]]]
    assert (loss.get_title(), loss.get_xlabel()) == ('loss', 'iteration')
    assert (score.get_title(), score.get_xlabel()) == ('mIoU', 'epoch')
    assert score.lines[0].get_color() == loss.lines[1].get_color(), 'a run keeps its colour'
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['a', 'b']


def test_validations_of_a_training_in_epochs_go_over_epochs():
    epochs, iterations = (
        RunRecord(
            '.', config=f'train_cfg = dict({length}=3)', training={'loss': [(9, 1.0)]}, validation={'top1': [(1, 2.0)]}
        )
        for length in ('max_epochs', 'max_iters')
    )
    assert unit_of('top1', {'a': epochs}) == 'epoch'
    assert unit_of('loss', {'a': epochs}) == 'iteration'
    assert unit_of('top1', {'a': epochs, 'b': iterations}) == 'epoch or iteration'


def test_confusions_are_shares_of_the_label():
    figure = draw_confusion([[3, 1], [0, 0]], ['cat', 'dog'])
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[75.0, 25.0], [0.0, 0.0]]
    assert [text.get_text() for text in axes.texts] == ['75', '25', '0', '0']
    assert [label.get_text() for label in axes.get_yticklabels()] == ['cat', 'dog']
