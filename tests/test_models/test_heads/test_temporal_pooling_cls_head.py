"""TemporalPoolingClsHead on the heads of MMPretrain."""

import copy
import pickle

import pytest
import torch
from mmpretrain.structures import DataSample
from records import without_records

from mmdas.ops.clip import split_frames
from mmdas.registry import MODELS

B, T, K, C = 2, 3, 5, 8
MODES = ('mean', 'reference', 'max', 'attention')
HEADS = {
    'LinearClsHead': dict(type='LinearClsHead', num_classes=K, in_channels=C),
    'StackedLinearClsHead': dict(type='StackedLinearClsHead', num_classes=K, in_channels=C, mid_channels=[6]),
    'VisionTransformerClsHead': dict(type='VisionTransformerClsHead', num_classes=K, in_channels=C, hidden_dim=6),
    'ArcFaceClsHead': dict(type='ArcFaceClsHead', num_classes=K, in_channels=C),  # its forward sees the labels too
    'MultiLabelLinearClsHead': dict(type='MultiLabelLinearClsHead', num_classes=K, in_channels=C),
    'CSRAClsHead': dict(type='CSRAClsHead', num_classes=K, in_channels=C, num_heads=1, lam=0.1),
    'ConformerHead': dict(type='ConformerHead', num_classes=K, in_channels=[C, C]),  # two vectors of scores
}

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


def build(name='LinearClsHead', num_frames=T, pooling='mean'):
    head = dict(type='mmdas.TemporalPoolingClsHead', head=HEADS[name], num_frames=num_frames, pooling=pooling)
    return MODELS.build(head)


def make_features(name='LinearClsHead', num_frames=T):
    shape = (C, 4, 4) if name == 'CSRAClsHead' else (C,)
    features = [torch.randn(B * num_frames, *shape) for _ in range(2)]
    return (features,) if name == 'ConformerHead' else tuple(features)


def make_samples(name='LinearClsHead'):
    if name in ('MultiLabelLinearClsHead', 'CSRAClsHead'):
        return [DataSample().set_gt_score(torch.randint(2, (K,)).float()) for _ in range(B)]
    return [DataSample().set_gt_label(torch.tensor([label])) for label in range(B)]


@pytest.mark.parametrize('pooling', MODES)
@pytest.mark.parametrize('name', HEADS)
def test_loss_and_prediction_have_one_score_vector_an_image(name, pooling):
    head, features = build(name, pooling=pooling), make_features(name)
    losses = head.loss(features, make_samples(name))
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None for p in head.parameters())
    head.eval()
    for samples in (make_samples(name), None):
        predictions = head.predict(features, samples)
        assert [p.pred_score.shape for p in predictions] == [(K,)] * B


@pytest.mark.parametrize('name', [name for name in HEADS if name != 'ConformerHead'])
def test_scores_are_the_mean_of_what_the_plain_head_says_of_each_frame(name):
    head, features = build(name).eval(), make_features(name)
    plain = MODELS.build(HEADS[name]).eval()
    plain.load_state_dict(without_records(head))  # strict: the same keys
    assert torch.equal(head(features), split_frames(plain(features), T).mean(1))


@pytest.mark.parametrize('pooling', ['mean', 'max'])
def test_order_of_the_frames_does_not_matter(pooling):
    head, (_, features) = build(pooling=pooling), make_features()
    shuffled = split_frames(features, T)[:, [1, 2, 0]].flatten(0, 1)
    torch.testing.assert_close(head((shuffled,)), head((features,)))


def test_attention_starts_as_the_mean_after_the_initialisation_of_the_head():
    attention, mean, features = build(pooling='attention'), build(), make_features()
    attention.init_weights()  # the host's, of all linear layers
    mean.load_state_dict(without_records(attention), strict=False)
    torch.testing.assert_close(attention(features), mean(features))


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=['copy', 'pickle'])
def test_duplicate_uses_its_own_weights(duplicate):
    head, features = build(pooling='attention'), make_features()
    before = head(features)
    other = duplicate(head)
    assert torch.equal(other(features), before)
    torch.nn.init.normal_(other.temporal_pooling.score.weight)
    torch.nn.init.normal_(other.fc.weight)
    assert not torch.equal(other(features), before)
    assert torch.equal(head(features), before)


@pytest.mark.parametrize(('ours', 'theirs'), [(4, 8), (8, 4), (1, 4), (4, 1)])
def test_other_frames_than_the_backbone_are_named_in_loss_and_prediction(ours, theirs):
    head, features = build(num_frames=ours), make_features(num_frames=theirs)
    for call in (head.loss, head.predict):
        with pytest.raises(ValueError, match=rf'head.num_frames is {ours}, .*\(num_frames={theirs} of the backbone'):
            call(features, make_samples())


def test_head_of_several_tasks_is_refused():
    config = dict(type='MultiTaskHead', task_heads=dict(colour=HEADS['LinearClsHead']))
    with pytest.raises(ValueError, match='MultiTaskHead .*cannot pool frames'):
        MODELS.build(dict(type='mmdas.TemporalPoolingClsHead', head=config, num_frames=T))
