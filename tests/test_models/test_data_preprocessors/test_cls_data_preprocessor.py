"""Options of mmpretrain's ClsDataPreprocessor in DASClsDataPreprocessor."""

import copy

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmdas.registry import MODELS

T, K = 3, 5
REPEAT, CELL = {}, dict(cell=dict(type='mmdas.DASCell', num_nodes=1))
MIXING = dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)], probs=[0.5, 0.5])


def make_batch(stacked):
    inputs = torch.randint(256, (4, 3, 10, 13), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(label) for label in (3, 0, 4, 1)]
    return dict(inputs=inputs if stacked else list(inputs), data_samples=samples)


pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


@pytest.mark.parametrize('source', [REPEAT, CELL], ids=['repeat', 'cell'])
@pytest.mark.parametrize('stacked', [True, False], ids=['default_collate', 'pseudo_collate'])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(pad_size_divisor=8, pad_value=2),
        dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
        dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True),
        dict(to_onehot=True, num_classes=K),
        dict(batch_augments=MIXING, num_classes=K),
        dict(batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)), num_classes=K),
        dict(batch_augments=dict(augments=dict(type='CutMix', alpha=1.0)), num_classes=K),
    ],
    ids=str,
)
def test_options_of_the_parent_act_before_the_clip(options, training, stacked, source):
    ours = dict(type='mmdas.DASClsDataPreprocessor', num_frames=T, **options, **source)
    theirs = dict(type='mmpretrain.ClsDataPreprocessor', **options)
    batch, results = make_batch(stacked), []
    for config in (ours, theirs):
        preprocessor = MODELS.build(copy.deepcopy(config))  # the host writes into its list of probabilities
        np.random.seed(1)
        torch.manual_seed(1)
        results.append(preprocessor(copy.deepcopy(batch), training))
    result, expected = results
    torch.testing.assert_close(result['inputs'].unflatten(1, (T, 3))[:, T // 2], expected['inputs'])
    for our_sample, their_sample in zip(result['data_samples'], expected['data_samples'], strict=True):
        assert torch.equal(our_sample.gt_label, their_sample.gt_label)
        assert ('gt_score' in our_sample) == ('to_onehot' in options or 'batch_augments' in options)
        if 'gt_score' in our_sample:
            assert torch.equal(our_sample.gt_score, their_sample.gt_score)


def test_mixed_images_are_mixed_in_every_frame():
    preprocessor = MODELS.build(
        dict(
            type='mmdas.DASClsDataPreprocessor',
            num_frames=T,
            num_classes=K,
            batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)),
        )
    )
    batch = make_batch(stacked=True)
    frames = preprocessor(batch, training=True)['inputs'].unflatten(1, (T, 3))
    assert not torch.equal(frames[:, 0], batch['inputs'].float())
    assert torch.equal(frames[:, 0], frames[:, 1])
    assert torch.equal(frames[:, 0], frames[:, 2])
