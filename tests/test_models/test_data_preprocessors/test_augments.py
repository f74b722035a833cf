"""Augments of a data preprocessor act in training, before the clip, on images and samples together."""

import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from records import without_records

from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyEdge

T, K, H, W = 3, 4, 6, 8
TURN = Policy(T, 1, (PolicyEdge(0, 2, 'rotate', 20.0),)).to_dict()
KINDS = {'mmdas.DASSegDataPreProcessor': dict(size=(H, W)), 'mmdas.DASClsDataPreprocessor': dict(num_classes=K)}
each_kind = pytest.mark.parametrize('kind', KINDS)


def build(kind, *augments, **options):
    return MODELS.build(dict(type=kind, num_frames=T, augments=augments, **KINDS[kind], **options))


def make_batch(kind, count=2):
    images = [torch.randint(256, (3, H, W), dtype=torch.uint8) for _ in range(count)]
    if 'Cls' in kind:
        return dict(inputs=images, data_samples=[DataSample().set_gt_label(label) for label in range(count)])
    maps = [PixelData(data=torch.randint(K, (1, H, W))) for _ in range(count)]
    return dict(inputs=images, data_samples=[SegDataSample(gt_sem_seg=labels) for labels in maps])


def reverse(images, samples):
    """Change the order of the batch."""
    return images.flip(0), samples[::-1]


def double(images, samples):
    return 2 * images, samples


@each_kind
@pytest.mark.parametrize('policy', [None, TURN])
def test_clip_is_made_of_the_augmented_image(kind, policy):
    batch = make_batch(kind)
    preprocessor = build(kind, reverse, double, policy=policy)
    plain = build(kind, policy=policy)(copy.deepcopy(batch), True)
    made = preprocessor(copy.deepcopy(batch), True)
    torch.testing.assert_close(made['inputs'], 2 * plain['inputs'].flip(0))
    field = 'gt_label' if 'Cls' in kind else 'gt_sem_seg'
    for sample, origin in zip(made['data_samples'], plain['data_samples'][::-1], strict=True):
        left, right = (part.get(field) for part in (sample, origin))
        assert torch.equal(left, right) if 'Cls' in kind else torch.equal(left.data, right.data)


@each_kind
@pytest.mark.parametrize(('training', 'mode'), [(False, True), (True, False)], ids=['a test', 'a trial'])
def test_augments_act_in_training_alone(kind, training, mode):
    batch = make_batch(kind)
    preprocessor, plain = build(kind, double).train(mode), build(kind).train(mode)
    made, expected = (part(copy.deepcopy(batch), training)['inputs'] for part in (preprocessor, plain))
    assert torch.equal(made, expected)


def test_host_mixes_first_and_soft_labels_move():
    def mix(images, samples):
        seen.extend(sample.gt_score.clone() for sample in samples)
        scores = torch.stack([sample.gt_score for sample in samples])
        mixed = (scores + scores.flip(0)) / 2
        return (images + images.flip(0)) / 2, [s.new().set_gt_score(m) for s, m in zip(samples, mixed, strict=True)]

    seen = []
    options = dict(batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)))
    preprocessor = build('mmdas.DASClsDataPreprocessor', mix, **options)
    made = preprocessor(make_batch('mmdas.DASClsDataPreprocessor'), True)
    assert all(0 < score.max() < 1 for score in seen)  # what the host has mixed
    for sample in made['data_samples']:
        torch.testing.assert_close(sample.gt_score, torch.tensor([0.5, 0.5, 0.0, 0.0]))
    assert torch.equal(made['inputs'][0], made['inputs'][1])


@each_kind
@pytest.mark.parametrize('scope', ['mmseg_scope', 'mmpretrain_scope'])
def test_augment_of_a_config_is_built(kind, scope, request):
    request.getfixturevalue(scope)
    preprocessor = build(kind, dict(type='mmdas.SegCutMix', beta=2.0))
    assert preprocessor.augments.steps[0].beta == 2.0


@each_kind
def test_what_cannot_be_called_is_refused_with_its_place(kind):
    with pytest.raises(ValueError, match=r"augments\[1\] must be a callable .*, got 'cutmix'"):
        build(kind, reverse, 'cutmix')


class NeedsModel:
    def use_model(self, model):
        self.model = model

    def __call__(self, images, samples):
        return images, samples


@each_kind
def test_step_that_holds_the_model_is_no_part_of_it_and_a_copy_holds_the_copy(kind):
    model = torch.nn.Module()
    model.data_preprocessor = build(kind, NeedsModel(), double)
    model.data_preprocessor.augments.use_model(model)
    assert len(list(model.modules())) == 2
    assert not without_records(model)
    copied = copy.deepcopy(model)
    assert copied.data_preprocessor.augments.steps[0].model is copied
    assert model.data_preprocessor.augments.steps[0].model is model
