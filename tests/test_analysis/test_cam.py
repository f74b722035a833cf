"""Class activation maps."""

import pytest
import torch
from analysed_models import SIZE, B, T, batch, build, classifier, segmentor
from torch import nn

from mmdas.analysis import AnalysisError, ImageNetwork, activation_maps, class_activation_maps
from mmdas.ops.clip import split_frames
from mmdas.search.das import Policy
from mmdas.search.das.policy import PolicyEdge

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


def test_map_is_the_weighted_sum_of_the_features_of_each_place():
    features, weight, classes = torch.randn(2, 5, 3, 4), torch.randn(6, 5), torch.tensor([4, 0])
    found = activation_maps(features, weight, classes)
    for image in range(2):
        for y in range(3):
            for x in range(4):
                expected = sum(weight[classes[image], c] * features[image, c, y, x] for c in range(5))
                assert float(found[image, y, x]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize('das', [None, 'repeat'])
def test_mean_of_a_map_and_the_bias_are_the_logit(das: str | None):
    config = classifier(das)
    network = ImageNetwork(build(config))
    nn.init.normal_(network.model.head.fc.bias)
    with network.evaluating(), torch.no_grad():
        read = network.read(batch(config))
        maps = class_activation_maps(network, read, [1, 3, 0])
        logits = network.logits(read)
    assert maps.shape == (B, SIZE, SIZE)
    means = maps.mean((1, 2)) + network.model.head.fc.bias[[1, 3, 0]]
    torch.testing.assert_close(means, logits[range(B), [1, 3, 0]], rtol=0.05, atol=0.05)  # but for the interpolation


def test_predicted_class_is_taken_where_none_is_given():
    config = classifier()
    network = ImageNetwork(build(config))
    with network.evaluating(), torch.no_grad():
        read = network.read(batch(config))
        best = network.logits(read).argmax(1).tolist()
        found = class_activation_maps(network, read)
        torch.testing.assert_close(found, class_activation_maps(network, read, best))


def test_maps_of_moved_frames_are_carried_back_before_they_are_averaged():
    edge = PolicyEdge(1, 2, 'translate_x', 0.25)
    moved = Policy(T, 1, (edge,), operations=('translate_x',), reference_size=(SIZE, SIZE))
    config = classifier(moved.to_dict())
    network = ImageNetwork(build(config))
    with network.evaluating(), torch.no_grad():
        read = network.read(batch(config))
        found = class_activation_maps(network, read, [0] * B)
        features = network.model.extract_feat(network.inputs(read), stage='backbone')[-1]
        maps = activation_maps(features, network.model.head.fc.weight, torch.zeros(B * T, dtype=torch.long))
    first, reference = split_frames(maps, T).unbind(1)  # (B, 12, 12); the first frame lies 3 cells to the left
    expected = reference.clone()
    expected[..., 3:] = (reference[..., 3:] + first[..., :-3]) / 2
    expected = nn.functional.interpolate(expected[:, None], (SIZE, SIZE), mode='bilinear')[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('config', [segmentor(), {**classifier(), 'neck': None}])
def test_other_models_are_told_what_a_map_needs(config: dict):
    if 'head' in config:
        config = {**config, 'head': dict(type='StackedLinearClsHead', num_classes=4, in_channels=16, mid_channels=[4])}
        config = {**config, 'neck': dict(type='GeneralizedMeanPooling')}
    network = ImageNetwork(build(config))
    with network.evaluating(), pytest.raises(AnalysisError, match='needs a classifier with GlobalAveragePooling'):
        class_activation_maps(network, network.read(batch(config)))
