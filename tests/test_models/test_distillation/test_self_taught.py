"""A model of clips whose few frames learn from all: the distance, what it leaves alone, and what is refused."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from test_models.test_any_frames import build, config, each_toolbox, make_batch

from mmdas.apis.distill_config import set_self_distillation
from mmdas.models.distillation import (
    AttentionTransfer,
    ChannelWiseDistillation,
    DistillationError,
    KLDistillation,
    SelfDistillation,
    kl_divergence,
    release_from_itself,
    teach_itself,
)
from mmdas.models.frame_count import FrameCount

PLACES = {'mmseg': 'decode_head', 'mmpretrain': 'head'}


def frozen_statistics(model):
    """In training mode, but each pass is that of an evaluation, and with logits that differ from each other."""
    model.train()
    head = model.decode_head.conv_seg if hasattr(model, 'decode_head') else model.head.fc
    torch.nn.init.normal_(head.weight, std=30.0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return model


def step(model, batch):
    return model(**model.data_preprocessor(copy.deepcopy(batch), training=True), mode='loss')


def logits(model, batch, frames):
    """What the head gives for so many frames."""
    model.data_preprocessor.frame_dropout = (frames,)
    inputs = model.data_preprocessor(copy.deepcopy(batch), training=True)['inputs']
    for module in model.modules():
        if isinstance(module, FrameCount):
            module.follow(frames)
    head = model.decode_head if hasattr(model, 'decode_head') else model.head
    return head(model.extract_feat(inputs))


@each_toolbox
@pytest.mark.parametrize('frames', [1, 2])
def test_the_added_loss_is_the_distance_of_few_frames_from_all_and_teaches_the_few_alone(toolbox, frames):
    model, batch = frozen_statistics(build(config(toolbox))), make_batch(toolbox)
    plain = copy.deepcopy(model)
    teach_itself(model, SelfDistillation([KLDistillation()], PLACES[toolbox], [frames]))
    losses = step(model, batch)
    plain.data_preprocessor.frame_dropout = ()
    expected = step(plain, batch)
    assert set(losses) == {*expected, 'self_distil_loss_kl'}
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    wide, narrow = logits(plain, batch, 4), logits(plain, batch, frames)
    distance = kl_divergence(narrow, wide.detach(), temperature=4.0)
    assert distance > 0
    torch.testing.assert_close(losses['self_distil_loss_kl'], distance)
    losses['self_distil_loss_kl'].backward()
    distance.backward()
    for (name, own), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert (own.grad is None) == (other.grad is None), name
        if own.grad is not None:
            torch.testing.assert_close(own.grad, other.grad)


@each_toolbox
def test_the_model_is_afterwards_what_it_was(toolbox):
    model = build(config(toolbox)).train()
    kind, keys, choices = type(model), list(model.state_dict()), model.data_preprocessor.frame_dropout
    teach_itself(model, SelfDistillation([KLDistillation()], PLACES[toolbox], [1, 2]))
    assert isinstance(model, kind)
    assert list(model.state_dict()) == keys
    copied = copy.deepcopy(model)
    assert type(copied) is type(model)
    seen = {step(copied, make_batch(toolbox)) and copied.data_preprocessor.frames_now for _ in range(8)}
    assert seen == {1, 2}
    release_from_itself(model, choices)
    assert type(model) is kind
    assert model.data_preprocessor.frame_dropout == choices
    assert not hasattr(model, 'self_distillation')


def test_positions_of_padding_do_not_count():
    model, batch = frozen_statistics(build(config('mmseg'))), make_batch('mmseg', 2)
    batch['inputs'][0] = batch['inputs'][0][:, :8]  # padded to the canvas
    batch['data_samples'][0].set_metainfo(dict(img_shape=(8, 16)))
    labels = batch['data_samples'][0].gt_sem_seg.data
    del batch['data_samples'][0].gt_sem_seg
    batch['data_samples'][0].gt_sem_seg = PixelData(data=labels[:, :8])
    plain = copy.deepcopy(model)
    teach_itself(model, SelfDistillation([KLDistillation()], 'decode_head', [1]))
    found = step(model, batch)['self_distil_loss_kl']
    data = plain.data_preprocessor(copy.deepcopy(batch), training=True)
    maps = []
    for frames in (1, 4):
        plain.data_preprocessor.frame_dropout = (frames,)
        inputs = plain._with_content_mask(data['inputs'], data['data_samples'])
        maps.append(plain.decode_head(plain.extract_feat(inputs)))
    height = maps[0].shape[-2]
    content = torch.ones(2, 1, *maps[0].shape[-2:], dtype=torch.bool)
    content[0, :, height // 2 :] = False
    torch.testing.assert_close(found, kl_divergence(*maps, temperature=4.0, content=content))


def test_what_does_not_go_together_is_refused():
    model = build(config('mmpretrain'))
    with pytest.raises(DistillationError, match='compares features, and mmdas.SelfDistillHook predictions'):
        SelfDistillation([AttentionTransfer()], 'head', [1])
    with pytest.raises(DistillationError, match='needs losses, and numbers of frames below T'):
        SelfDistillation([KLDistillation()], 'head', [])
    teach_itself(model, SelfDistillation([KLDistillation(), ChannelWiseDistillation()], 'head', [1]))
    with pytest.raises(DistillationError, match='has a teacher already'):
        teach_itself(model, SelfDistillation([KLDistillation()], 'head', [1]))
    with pytest.raises(
        ValueError, match='--self-distill: fewer frames learn from all.*add --das POLICY.json --any-fra'
    ):
        set_self_distillation(
            Config(dict(default_scope='mmpretrain', model=config('mmpretrain', any_frames=False).model))
        )
