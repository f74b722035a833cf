"""Shape bias of hand-made decisions."""

import math

import pytest
import torch
from mmpretrain.structures import DataSample

from mmdas.engine import ShapeBias
from mmdas.registry import METRICS

SHAPE, TEXTURE, OTHER = 0, 1, 2


def sample(prediction: int, shape: int, texture: int, scores: bool = True) -> dict:
    made = DataSample().set_gt_label(shape)
    made.set_field(texture, 'gt_texture')
    if scores:
        made.set_pred_score(torch.nn.functional.one_hot(torch.tensor(prediction), 4).float())
    else:
        made.set_pred_label(prediction)
    return made.to_dict()


def metrics_of(samples: list[dict]) -> dict[str, float]:
    metric = METRICS.build(dict(type='mmdas.ShapeBias'))
    for place in range(0, len(samples), 2):
        metric.process(None, samples[place : place + 2])
    return metric.evaluate(len(samples))


def conflicts(*predictions: int) -> list[dict]:
    return [sample(prediction, SHAPE, TEXTURE) for prediction in predictions]


def test_bias_is_the_share_of_shape_among_both():
    found = metrics_of(conflicts(SHAPE, SHAPE, SHAPE, TEXTURE, OTHER, OTHER))
    assert found == pytest.approx(
        {'shape_bias/bias': 75.0, 'shape_bias/conflict_shape': 50.0, 'shape_bias/conflict_texture': 100 / 6}
    )


@pytest.mark.parametrize(('prediction', 'bias'), [(SHAPE, 100.0), (TEXTURE, 0.0)])
def test_bias_of_a_single_cue(prediction: int, bias: float):
    assert metrics_of(conflicts(prediction, prediction))['shape_bias/bias'] == bias


def test_bias_is_unknown_without_decisions():
    assert math.isnan(metrics_of(conflicts(OTHER, OTHER))['shape_bias/bias'])


def test_other_images_have_accuracies_and_no_part_in_the_bias():
    others = [sample(1, 1, 1), sample(2, 1, 1), sample(3, 3, -1), sample(3, 3, -1), sample(0, 3, -1)]
    found = metrics_of(others)
    assert found == pytest.approx({'shape_bias/agree': 50.0, 'shape_bias/shape_only': 200 / 3})
    both = metrics_of([*others, *conflicts(TEXTURE, SHAPE)])
    assert both['shape_bias/bias'] == 50.0 and both['shape_bias/agree'] == 50.0


def test_labels_count_as_scores_do():
    assert metrics_of([sample(TEXTURE, SHAPE, TEXTURE, scores=False)])['shape_bias/conflict_texture'] == 100.0


class TestErrors:
    def test_samples_without_texture_are_told_the_remedy(self):
        made = DataSample().set_gt_label(0).set_pred_label(0).to_dict()
        with pytest.raises(ValueError, match=r"no gt_texture.* algorithm_keys=\['gt_texture'\] to PackInputs"):
            ShapeBias().process(None, [made])

    def test_several_labels(self):
        made = sample(0, 0, 1)
        made['gt_label'] = torch.tensor([0, 1])
        with pytest.raises(ValueError, match=r'one class an image, got the labels \[0, 1\]'):
            ShapeBias().process(None, [made])

    def test_no_prediction(self):
        made = sample(0, 0, 1)
        del made['pred_score']
        made.pop('pred_label', None)
        with pytest.raises(ValueError, match='needs pred_score or pred_label'):
            ShapeBias().process(None, [made])
