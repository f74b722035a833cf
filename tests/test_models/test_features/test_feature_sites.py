"""Where regularisers act: the stages of the backbones of both toolboxes, and the hooks there."""

import copy
import pickle

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from torch import nn

from mmdas.models.features import (
    ADL,
    DropBlock,
    FeatureError,
    FeatureRegularizer,
    MixStyle,
    choose_sites,
    find_maps,
    find_stages,
    named_maps,
    place,
)
from mmdas.registry import MODELS

EXTRA = dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(4,)),
    stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(4, 8)),
    stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(1, 1, 1), num_channels=(4, 8, 16)),
    stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1,) * 4, num_channels=(4, 8, 16, 32)),
)
LAYERS = ['layer1', 'layer2', 'layer3', 'layer4']
STAGES = ['stages.0', 'stages.1', 'stages.2', 'stages.3']
SMALL = dict(base_channels=4, stem_channels=4)
# Scope, config, and the stages that the papers' tables give.
HOSTS = {
    'ResNet of mmseg': ('mmseg', dict(type='ResNetV1c', depth=18, **SMALL), LAYERS),
    'dilated ResNet': ('mmseg', dict(type='ResNet', depth=18, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)), LAYERS),
    'HRNet of mmseg': ('mmseg', dict(type='HRNet', extra=EXTRA), ['layer1', 'stage2', 'stage3', 'stage4']),
    'UNet': ('mmseg', dict(type='UNet', base_channels=4), [f'encoder.{level}' for level in range(5)]),
    'ERFNet': ('mmseg', dict(type='ERFNet'), ['encoder.0', 'encoder.6', 'encoder.15']),
    'CGNet': ('mmseg', dict(type='CGNet', num_channels=(8, 16, 32), num_blocks=(2, 3)), ['level1.1', 'level2.2']),
    'MobileNetV2 of mmseg': ('mmseg', dict(type='MobileNetV2'), [f'layer{number}' for number in range(1, 8)]),
    'ResNet': ('mmpretrain', dict(type='ResNet', depth=18, **SMALL), LAYERS),
    'ResNet_CIFAR': ('mmpretrain', dict(type='ResNet_CIFAR', depth=18, **SMALL), LAYERS),
    'RegNet': ('mmpretrain', dict(type='RegNet', arch='regnetx_400mf'), LAYERS),
    'RepVGG': ('mmpretrain', dict(type='RepVGG', arch='A0'), ['stage_1', 'stage_2', 'stage_3', 'stage_4']),
    'MobileOne': ('mmpretrain', dict(type='MobileOne', arch='s0'), [f'stage{number}' for number in range(5)]),
    'ShuffleNetV1': ('mmpretrain', dict(type='ShuffleNetV1'), ['layers.0', 'layers.1', 'layers.2']),
    'EfficientNet': ('mmpretrain', dict(type='EfficientNet', arch='b0'), [f'layers.{number}' for number in range(7)]),
    'MobileViT': ('mmpretrain', dict(type='MobileViT', arch='xx_small'), [f'layers.{number}' for number in range(5)]),
    'ConvNeXt': ('mmpretrain', dict(type='ConvNeXt', arch='atto'), STAGES),
    'EdgeNeXt': ('mmpretrain', dict(type='EdgeNeXt', arch='xxsmall'), STAGES),
    'DenseNet': ('mmpretrain', dict(type='DenseNet', arch='121'), STAGES),
    'PoolFormer': ('mmpretrain', dict(type='PoolFormer', arch='s12'), [f'network.{place}' for place in (0, 2, 4, 6)]),
    'VAN': ('mmpretrain', dict(type='VAN', arch='tiny'), ['blocks1.2', 'blocks2.2', 'blocks3.4', 'blocks4.1']),
    'WideResNet of mmdas': ('mmpretrain', dict(type='mmdas.WideResNet', depth=10, widen_factor=1), None),
}


def build(scope: str, config: dict) -> nn.Module:
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(dict(config))


def tiny(scope: str = 'mmseg', **options) -> nn.Module:
    return build(scope, {**dict(type='ResNet', depth=18, **SMALL), **options})


@pytest.mark.parametrize('host', HOSTS)
def test_stages_of_a_backbone_are_those_of_its_paper(host):
    scope, config, expected = HOSTS[host]
    backbone = build(scope, config)
    stages = find_stages(backbone, find_maps(backbone))
    if expected is None:  # ours
        assert len(stages) == 3
    else:
        assert stages == expected


def test_default_sites_are_the_last_stages_and_of_mix_style_the_first():
    backbone = tiny()
    found = {feature.__name__: choose_sites(backbone, feature()) for feature in (ADL, DropBlock, MixStyle)}
    late, early = ['layer3', 'layer4'], ['layer1', 'layer2']
    assert found == {'ADL': late, 'DropBlock': late, 'MixStyle': early}
    short = tiny(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    assert choose_sites(short, ADL()) == choose_sites(short, MixStyle()) == ['layer1']


def test_positions_and_paths_are_sites():
    backbone = tiny()
    assert choose_sites(backbone, ADL(), [-1, 0]) == ['layer4', 'layer1']
    assert choose_sites(backbone, ADL(), ['layer2.0.conv1']) == ['layer2.0.conv1']
    with pytest.raises(FeatureError, match=r'sites of .* are \[4\], but ResNet has 4 stages: layer1, layer2'):
        choose_sites(backbone, ADL(), [4])


@pytest.mark.parametrize(
    ('scope', 'config', 'match'),
    [
        ('mmpretrain', dict(type='VisionTransformer', arch='deit-t'), r'layers\.0 gives no map \(B, C, h, w\)'),
        ('mmseg', dict(type='FastSCNN'), 'no part of it is named as a stage; .* name, among others: .*feature_fusion'),
        ('mmseg', dict(type='DDRNet', channels=8, ppm_channels=8), r'among others: .*context_branch_layers\.0'),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_a_backbone_without_stages_is_refused_with_candidates(scope, config, match):
    with pytest.raises(FeatureError, match=match):
        choose_sites(build(scope, config), ADL())


class Masked(nn.Conv2d):
    """Takes more than an image."""

    def forward(self, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return super().forward(images * mask)


def test_a_backbone_that_takes_more_than_an_image_is_refused():
    with pytest.raises(FeatureError, match=r"Masked cannot be searched for sites .* missing 1 required .* 'mask'"):
        choose_sites(Masked(3, 4, 1), ADL())


def test_candidates_that_a_message_names_are_sites():
    backbone = build('mmseg', dict(type='FastSCNN'))
    with pytest.raises(FeatureError) as caught:
        find_stages(backbone, maps := find_maps(backbone))
    named = str(caught.value).rpartition('among others: ')[2].split(', ')
    assert len(named) > 3
    assert named_maps(backbone, named, maps) == named


@pytest.mark.parametrize(
    ('sites', 'match'),
    [
        (['layer5'], r'ResNet\.layer5 is no module that it calls; did you mean layer\d\?'),
        (['layer1', 'layer1'], r'name some, each once'),
        ([], r'name some, each once'),
    ],
)
def test_a_wrong_site_is_named(sites, match):
    with pytest.raises(FeatureError, match=match):
        named_maps(backbone := tiny(), sites, find_maps(backbone))


def test_a_list_of_modules_is_no_site():
    backbone = build('mmpretrain', dict(type='ConvNeXt', arch='atto'))
    with pytest.raises(FeatureError, match=r'ConvNeXt\.stages is no module that it calls'):
        named_maps(backbone, ['stages'], find_maps(backbone))


def test_the_search_for_sites_leaves_the_backbone_and_the_generator():
    backbone = tiny()
    backbone.train()
    state, random = copy.deepcopy(backbone.state_dict()), torch.get_rng_state()
    find_maps(backbone)
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())
    assert all(module.training for module in backbone.modules())
    assert not any(module._forward_hooks for module in backbone.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_activation_checkpointing_does_not_hide_the_stages():
    backbone = tiny()
    turn_on_activation_checkpointing(backbone, ['layer3', 'layer4'])
    backbone.train()
    state = copy.deepcopy(backbone.state_dict())
    maps = find_maps(backbone)
    assert find_stages(backbone, maps) == LAYERS
    assert 'layer4.1.conv2' in maps
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())
    place(DropBlock(0.5, 3, ramp=0), backbone, ['layer4'])
    backbone(torch.randn(2, 3, 64, 64, requires_grad=True))[-1].sum().backward()
    assert backbone.layer4[0].conv1.weight.grad.isfinite().all()


class Double(FeatureRegularizer):
    """Counts its calls and doubles the features."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[int] = []

    def regularize(self, features: torch.Tensor, num_frames: int) -> torch.Tensor:
        self.frames.append(num_frames)
        return 2 * features


def test_a_placed_regulariser_acts_in_training_alone_and_is_gone_afterwards():
    backbone, images = tiny(), torch.randn(2, 3, 32, 32)
    keys, names = list(backbone.state_dict()), [name for name, _ in backbone.named_modules()]
    backbone.eval()
    before = backbone(images)
    placed = place(double := Double(), backbone, ['layer4'])
    assert all(torch.equal(one, other) for one, other in zip(backbone(images), before, strict=True))
    assert double.frames == []
    backbone.train()
    reference = copy.deepcopy(backbone)
    for hooks in (module._forward_hooks for module in reference.modules()):
        hooks.clear()
    outputs, plain = backbone(images), reference(images)
    assert torch.equal(outputs[-1], 2 * plain[-1])
    assert torch.equal(outputs[-2], plain[-2])
    placed.remove()
    placed.remove()
    backbone(images)
    assert double.frames == [1]
    assert not any(module._forward_hooks for module in backbone.modules())
    assert (list(backbone.state_dict()), [name for name, _ in backbone.named_modules()]) == (keys, names)


def test_a_frozen_stage_is_regularised_too():
    backbone = tiny(frozen_stages=1, norm_eval=True)
    place(double := Double(), backbone, ['layer1'])
    backbone.train()
    assert not backbone.layer1.training
    backbone(torch.randn(2, 3, 32, 32))
    assert double.frames == [1]


@pytest.mark.parametrize('twin_of', [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_calls_its_own_and_follows_its_own_mode(twin_of):
    backbone = tiny()
    place(double := Double(), backbone, ['layer4'])
    twin = twin_of(backbone)
    (hook,) = twin.layer4._forward_hooks.values()
    twin.train()
    backbone.eval()
    twin(torch.randn(2, 3, 32, 32))
    assert (double.frames, hook.feature.frames) == ([], [1])
    backbone(torch.randn(1, 3, 32, 32))
    assert double.frames == []


def test_every_branch_of_hrnet_is_regularised():
    backbone = build('mmseg', HOSTS['HRNet of mmseg'][1])
    backbone.eval()
    images = torch.randn(1, 3, 64, 64)
    plain = backbone(images)
    place(Double(), backbone, ['stage4'])
    backbone.training = True  # of the backbone alone, so that its norms stay
    assert all(torch.equal(one, 2 * other) for one, other in zip(backbone(images), plain, strict=True))


@pytest.mark.parametrize('num_frames', [2, None])
@pytest.mark.parametrize('fusion', [None, dict(type='mmdas.TemporalShift')])
def test_frames_of_das_have_one_mask(num_frames, fusion):
    host = dict(type='ResNet', depth=18, **SMALL)
    config = dict(type='mmdas.FrameFusionBackbone', num_frames=num_frames, fusion=fusion, backbone=host)
    backbone = build('mmseg', config)
    assert choose_sites(backbone, DropBlock()) == ['layer3', 'layer4']
    place(layer := DropBlock(0.4, 3, ramp=0), backbone, ['layer4'])
    place(double := Double(), backbone, ['layer1'])
    image = torch.randn(3, 3, 96, 96)
    backbone.train()
    outputs = backbone(torch.cat([image, image], dim=1))[-1]  # (B*T, C, h, w)
    assert double.frames == [2]
    masks = (outputs != 0).view(3, 2, *outputs.shape[1:])
    if fusion is None:  # equal frames stay equal
        assert torch.equal(masks[:, 0], masks[:, 1])
    assert not torch.equal(masks[0, 0], masks[1, 0])
    assert layer.training
