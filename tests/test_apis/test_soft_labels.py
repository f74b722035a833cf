"""Heads and losses of MMPretrain that learn from scores, and those that are refused."""

import re
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdas.apis.das_options import ConversionError
from mmdas.apis.soft_labels import check_unmixed, take_soft_labels
from mmdas.augment.soft_scores import reason_of_loss

CONFIGS = Path(mmpretrain.__file__).parent / '.mim' / 'configs'
TAKEN = [
    dict(type='CrossEntropyLoss'),
    dict(type='CrossEntropyLoss', loss_weight=2.0, class_weight=[1.0, 2.0, 3.0, 0.5]),
    dict(type='CrossEntropyLoss', use_soft=True),
    dict(type='CrossEntropyLoss', use_sigmoid=True),
    dict(type='LabelSmoothLoss', label_smooth_val=0.1),
    dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='classy_vision', num_classes=4),
    dict(type='FocalLoss'),
]
REFUSED = {
    'SeesawLoss': dict(type='SeesawLoss', num_classes=4),
    'AsymmetricLoss': dict(type='AsymmetricLoss'),
    'LabelSmoothLoss': dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='multi_label', use_sigmoid=True),
    'CosineSimilarityLoss': dict(type='CosineSimilarityLoss'),
    'CrossCorrelationLoss': dict(type='CrossCorrelationLoss'),
    'CAELoss': dict(type='CAELoss', lambd=2),
    'PixelReconstructionLoss': dict(type='PixelReconstructionLoss', criterion='L1'),
    'SwAVLoss': dict(type='SwAVLoss', feat_dim=4, num_prototypes=[3], num_crops=[2]),
}
OF_OTHER_TASKS = {'MSELoss', 'L1Loss', 'SmoothL1Loss', 'RegressionLoss'}


def config(loss: dict | None = None, kind: str = 'LinearClsHead', **head) -> Config:
    options = dict(type=kind, num_classes=4, in_channels=8, **head, **({} if loss is None else {'loss': loss}))
    return Config(dict(default_scope='mmpretrain', model=dict(type='ImageClassifier', head=options)))


def test_every_loss_of_mmpretrain_and_its_configs_is_judged():
    text = '\n'.join(path.read_text() for path in CONFIGS.rglob('*.py'))
    in_configs = set(re.findall(r"type='(\w*Loss)'", text))
    from mmpretrain.models import losses

    classes = {name for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    assert len(in_configs) >= 7
    assert (in_configs | classes) - OF_OTHER_TASKS <= {loss['type'] for loss in TAKEN} | set(REFUSED)


@pytest.mark.parametrize('loss', TAKEN, ids=str)
def test_loss_that_is_taken_learns_from_shares_and_has_the_loss_of_a_label(loss):
    cfg = config(loss, cal_acc=True)
    take_soft_labels(cfg)
    assert cfg.model.head.loss == loss
    head = MODELS.build(cfg.model.head)
    features, labels = (torch.randn(3, 8),), [0, 2, 3]
    hard = [DataSample().set_gt_label(label) for label in labels]
    one_hot = [DataSample().set_gt_label(label).set_gt_score(torch.eye(4)[label]) for label in labels]
    single = head.loss(features, one_hot)['loss']
    if not (loss.get('use_soft') or loss.get('use_sigmoid')):  # these take scores alone
        assert torch.allclose(head.loss(features, hard)['loss'], single)
    mixed = [DataSample().set_gt_score(torch.tensor([0.7, 0.3, 0.0, 0.0])) for _ in labels]
    values = [DataSample().set_gt_score(torch.tensor([0.3, 0.7, 0.0, 0.0])) for _ in labels]
    assert not torch.allclose(head.loss(features, mixed)['loss'], head.loss(features, values)['loss'])


@pytest.mark.parametrize('name', REFUSED)
def test_loss_that_does_not_heed_shares_is_refused_by_name(name):
    with pytest.raises(ConversionError, match=rf"{name} .*set model.head.loss=dict\(type='CrossEntropyLoss'\)"):
        take_soft_labels(config(REFUSED[name]))


def test_scores_of_a_cross_entropy_are_what_the_model_comes_to():
    logits = torch.zeros(1, 4, requires_grad=True)
    loss, target = MODELS.build(TAKEN[0]), torch.tensor([[0.6, 0.3, 0.05, 0.05]])
    optimizer = torch.optim.SGD([logits], lr=3.0)
    for _ in range(200):
        optimizer.zero_grad()
        loss(logits, target, avg_factor=1).backward()
        optimizer.step()
    assert torch.allclose(logits.softmax(1), target, atol=1e-3)


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('MultiLabelLinearClsHead', {}),
        ('ArcFaceClsHead', {}),
        ('CSRAClsHead', dict(num_heads=1, lam=0.1)),
        ('LinearRegressionHead', {}),
    ],
)
def test_head_of_other_labels_is_refused_by_name(kind, options):
    if MODELS.get(kind) is None:
        pytest.skip(f'this MMPretrain has no {kind}')
    with pytest.raises(ConversionError, match=f'{kind} .*; take a head of one label, such as LinearClsHead'):
        take_soft_labels(config(kind=kind, **options))


def test_accuracy_of_batches_is_left_out_within_a_pooled_head():
    cfg = config(cal_acc=True)
    cfg.model.head = dict(type='mmdas.TemporalPoolingClsHead', num_frames=2, head=cfg.model.head)
    take_soft_labels(cfg)
    assert cfg.model.head.head.cal_acc is False


def test_a_softmax_makes_a_head_of_several_labels_one_of_a_single_label():
    take_soft_labels(config(dict(type='CrossEntropyLoss', use_soft=True), 'MultiLabelLinearClsHead'))  # MMPretrain's


@pytest.mark.parametrize(
    ('place', 'options'),
    [
        ('model.train_cfg.augments', dict(model=dict(train_cfg=dict(augments=[dict(type='Mixup', alpha=0.2)])))),
        ('data_preprocessor.batch_augments', dict(data_preprocessor=dict(batch_augments=dict(augments=['CutMix'])))),
    ],
)
def test_config_that_mixes_labels_is_told_where(place, options):
    cfg = config()
    check_unmixed(cfg)
    cfg.merge_from_dict(options)
    with pytest.raises(ConversionError, match=f'mixes labels already: {place} is .*; leave'):
        check_unmixed(cfg)


def test_config_of_segmentation_stays():
    cfg = Config(dict(default_scope='mmseg', model=dict(type='EncoderDecoder', decode_head=dict(type='FCNHead'))))
    before = cfg.to_dict()
    take_soft_labels(cfg)
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    'model', [dict(type='MAE', backbone=dict(type='X')), dict(type='MoCo', head=dict(type='Nothing'))]
)
def test_model_without_a_head_of_classes_is_refused(model):
    with pytest.raises(ConversionError, match='no head of classes|Nothing'):
        take_soft_labels(Config(dict(default_scope='mmpretrain', model=model)))


def test_trial_leaves_the_state_of_a_loss_alone():
    loss = MODELS.build(dict(type='SeesawLoss', num_classes=4))
    assert 'SeesawLoss takes no scores' in reason_of_loss(loss)
    assert not loss.cum_samples.any()


@pytest.mark.parametrize('name', ['resnet/resnet18_8xb16_cifar10', 'resnet/resnet50_8xb32-mixup_in1k'])
def test_installed_config_takes_scores(name):
    take_soft_labels(Config.fromfile(CONFIGS / f'{name}.py'))
