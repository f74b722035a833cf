"""Options of mmseg's SegDataPreProcessor in DASSegDataPreProcessor."""

import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmdas.registry import MODELS

T = 3
REPEAT, CELL = {}, dict(cell=dict(type='mmdas.DASCell', num_nodes=1))


def make_batch(sizes=((12, 9), (10, 16))):
    inputs, samples = [], []
    for height, width in sizes:
        sample = SegDataSample(metainfo=dict(img_shape=(height, width), ori_shape=(height, width)))
        sample.gt_sem_seg = PixelData(data=torch.randint(5, (1, height, width)))
        inputs.append(torch.randint(256, (3, height, width), dtype=torch.uint8))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def flip_batch(inputs, samples):
    """A batch augmentation, which the host takes as a callable."""
    return inputs.flip(-1), samples


@pytest.mark.parametrize('source', [REPEAT, CELL], ids=['repeat', 'cell'])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'options',
    [
        dict(size=(20, 24)),
        dict(size_divisor=8),
        dict(size=(16, 16), pad_val=7, seg_pad_val=3),
        dict(size=(16, 16), mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
        dict(size=(16, 16), bgr_to_rgb=True, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
        dict(size=(16, 16), rgb_to_bgr=True),
        dict(size=(16, 16), batch_augments=flip_batch),
        dict(size=(16, 16), test_cfg=dict(size_divisor=8)),
        dict(size=(16, 16), test_cfg=dict(size=(40, 30))),
    ],
    ids=lambda options: ' '.join(options),
)
def test_options_of_the_parent_act_before_the_clip(options, training, source):
    ours = MODELS.build(dict(type='mmdas.DASSegDataPreProcessor', num_frames=T, **options, **source))
    theirs = MODELS.build(dict(type='mmseg.SegDataPreProcessor', **options))
    batch = make_batch() if training else make_batch(((12, 9), (12, 9)))
    result, expected = (p(copy.deepcopy(batch), training) for p in (ours, theirs))
    batch_size, channels, *size = expected['inputs'].shape
    assert result['inputs'].shape == (batch_size, T * channels, *size)
    reference = result['inputs'][:, (T // 2) * channels : (T // 2 + 1) * channels]
    torch.testing.assert_close(reference, expected['inputs'])
    for our_sample, their_sample in zip(result['data_samples'], expected['data_samples'], strict=True):
        assert our_sample.metainfo == their_sample.metainfo
        assert torch.equal(our_sample.gt_sem_seg.data, their_sample.gt_sem_seg.data)


def test_batch_augments_that_cannot_be_called_are_refused_when_the_model_is_built():
    with pytest.raises(ValueError, match=r'batch_augments must be a callable .* got \[.*Mixup'):
        MODELS.build(dict(type='mmdas.DASSegDataPreProcessor', batch_augments=[dict(type='Mixup')]))
