"""Test-time augmentation by mmdas.SegTTAModel."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmdas.registry import MODELS

T = 2
SIZE = (24, 32)
HEAD = dict(type='FCNHead', in_channels=8, in_index=0, channels=8, num_convs=1, dropout_ratio=0.0)
ONE_CHANNEL = dict(num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))


@pytest.fixture(params=[dict(threshold=0.3), dict(threshold=0.52), None], ids=['0.3', '0.52', 'classes'])
def tta(request) -> nn.Module:
    """A segmentor with one output channel and a threshold, or with a channel per class, wrapped."""
    head = {**HEAD, **({**ONE_CHANNEL, **request.param} if request.param else dict(num_classes=4))}
    backbone = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
    segmentor = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=T, mean=[120.0] * 3, std=[60.0] * 3),
        backbone=dict(type='mmdas.FrameFusionBackbone', backbone=backbone, num_frames=T),
        decode_head=dict(type='mmdas.TemporalPoolingHead', num_frames=T, head=head),
        test_cfg=dict(mode='whole'),
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(ConfigDict(type='mmdas.SegTTAModel', module=segmentor))
    weight = model.module.decode_head.conv_seg.weight  # of several classes, and of both signs
    weight.data = torch.eye(8)[: len(weight)].sub(torch.eye(8)[-1]).mul(5).view_as(weight)
    return model.eval()


def make_view(image: Tensor, flip: bool) -> tuple[Tensor, SegDataSample]:
    meta = dict(img_shape=SIZE, ori_shape=SIZE, flip=flip, flip_direction='horizontal', img_path='a.png')
    sample = SegDataSample(metainfo=meta)
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, *SIZE))
    return image.flip(-1) if flip else image, sample


def predict(
    model: nn.Module, views: list[tuple[Tensor, SegDataSample]], augmented: bool = False
) -> list[SegDataSample]:
    """Predictions of the views of one image: one of each, or the merged one."""
    inputs, samples = zip(*copy.deepcopy(views), strict=True)
    if augmented:
        return model.test_step(dict(inputs=[[x] for x in inputs], data_samples=[[x] for x in samples]))
    return model.module.test_step(dict(inputs=list(inputs), data_samples=list(samples)))


def test_equal_views_give_the_prediction_without_augmentation(tta):
    views = [make_view(torch.randint(256, (3, *SIZE), dtype=torch.uint8), flip=False)] * 2
    (merged,), single = predict(tta, views, augmented=True), predict(tta, views)[0]
    expected = single.pred_sem_seg.data
    assert 0 < expected.float().mean() < expected.max()  # several classes
    assert torch.equal(merged.pred_sem_seg.data.view_as(expected), expected)
    assert (merged.img_path, merged.gt_sem_seg.data.shape) == ('a.png', (1, *SIZE))


def test_several_views_give_the_threshold_or_the_largest_of_the_mean_probability(tta):
    image = torch.randint(256, (3, *SIZE), dtype=torch.uint8)
    views = [make_view(image, flip=False), make_view(image, flip=True)]
    (merged,), singles = predict(tta, views, augmented=True), predict(tta, views)
    outputs = torch.stack([single.seg_logits.data for single in singles])
    if outputs.shape[1] == 1:
        logits = torch.stack([tta_logits(tta, view) for view in views])
        torch.testing.assert_close(outputs, logits.sigmoid())  # the segmentor has taken the sigmoid
        expected = outputs.mean(dim=0) > tta.module.decode_head.threshold
    else:
        expected = outputs.softmax(dim=1).mean(dim=0).argmax(dim=0)
    assert torch.equal(merged.pred_sem_seg.data.view_as(expected).long(), expected.long())
    assert any(
        not torch.equal(single.pred_sem_seg.data.view_as(expected).long(), expected.long()) for single in singles
    )


def tta_logits(tta: nn.Module, view: tuple[Tensor, SegDataSample]) -> Tensor:
    """Logits of a view of the image, turned back, (K, H, W)."""
    image, sample = view
    data = tta.module.data_preprocessor(dict(inputs=[image], data_samples=[sample]))
    with torch.no_grad():
        logits = tta.module.encode_decode(data['inputs'], [sample.metainfo])[0]
    return logits.flip(-1) if sample.flip else logits
