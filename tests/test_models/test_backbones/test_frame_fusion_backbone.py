"""FrameFusionBackbone on the backbones of both toolboxes, made small."""

import copy
import pickle

import pytest
import torch
from mmengine.registry import DefaultScope
from records import without_records
from torch import nn

from mmdas.models.fusion import FrameFusion
from mmdas.ops.clip import clip_to_frames
from mmdas.registry import MODELS

B, T = 2, 3
GATED = ('mmdas.GateShift', 'mmdas.GateShiftFuse')
FUSIONS = ('mmdas.TemporalShift', *GATED)

# Without these the last norm of every block, or its layer scale, silences whatever the block computes.
RESNET = dict(base_channels=8, stem_channels=8, out_indices=(0, 1, 2, 3), zero_init_residual=False)
HRNET = dict(
    extra=dict(
        stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)),
        stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(8, 16)),
        stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(2, 1, 1), num_channels=(8, 16, 32)),
        stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1,) * 4, num_channels=(8, 16, 32, 64)),
    )
)
CONVNEXT = dict(
    arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 32, 64]), layer_scale_init_value=1.0, out_indices=(0, 1, 2, 3)
)

# Name: scope of the config, type, options, residual blocks (those with a shortcut) as the host's paper counts them.
HOSTS = {
    'mmseg-ResNet': ('mmseg', dict(type='ResNet', depth=18, **RESNET), 2 + 2 + 2 + 2),
    'mmseg-ResNetV1c': ('mmseg', dict(type='ResNetV1c', depth=50, **RESNET), 3 + 4 + 6 + 3),
    'mmseg-ResNetV1d': ('mmseg', dict(type='ResNetV1d', depth=18, **RESNET), 2 + 2 + 2 + 2),
    'mmseg-ResNeXt': ('mmseg', dict(type='ResNeXt', depth=50, groups=2, base_width=4, **RESNET), 3 + 4 + 6 + 3),
    'mmseg-ResNeSt': ('mmseg', dict(type='ResNeSt', depth=50, **RESNET), 3 + 4 + 6 + 3),
    'mmseg-MobileNetV2': ('mmseg', dict(type='MobileNetV2', widen_factor=0.5), 1 + 2 + 3 + 2 + 2),
    'mmseg-HRNet': ('mmseg', dict(type='HRNet', **HRNET), 1 + 2 + 4 + 4),
    'mmseg-ConvNeXt': ('mmseg', dict(type='mmpretrain.ConvNeXt', gap_before_final_norm=False, **CONVNEXT), 5),
    'mmpretrain-ResNet': ('mmpretrain', dict(type='ResNet', depth=50, **RESNET), 3 + 4 + 6 + 3),
    'mmpretrain-ResNetV1c': ('mmpretrain', dict(type='ResNetV1c', depth=18, **RESNET), 2 + 2 + 2 + 2),
    'mmpretrain-ResNetV1d': ('mmpretrain', dict(type='ResNetV1d', depth=50, **RESNET), 3 + 4 + 6 + 3),
    'mmpretrain-ResNeXt': (
        'mmpretrain',
        dict(type='ResNeXt', depth=50, groups=2, width_per_group=4, **RESNET),
        3 + 4 + 6 + 3,
    ),
    'mmpretrain-Res2Net': ('mmpretrain', dict(type='Res2Net', depth=50, scales=4, base_width=26, **RESNET), 16),
    'mmpretrain-ResNet_CIFAR': ('mmpretrain', dict(type='ResNet_CIFAR', depth=18, **RESNET), 2 + 2 + 2 + 2),
    'mmpretrain-MobileNetV2': ('mmpretrain', dict(type='MobileNetV2', widen_factor=0.5), 1 + 2 + 3 + 2 + 2),
    'mmpretrain-HRNet': ('mmpretrain', dict(type='HRNet', **HRNET), 1 + 2 + 4 + 4),
    'mmpretrain-ConvNeXt': ('mmpretrain', dict(type='ConvNeXt', gap_before_final_norm=False, **CONVNEXT), 5),
}
# One of each kind of block, for what does not depend on the details of the host.
KINDS = ('mmseg-ResNet', 'mmpretrain-MobileNetV2', 'mmseg-HRNet', 'mmpretrain-ConvNeXt')


def build(host, **changes):
    scope, config, _ = HOSTS[host]
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build({**config, **changes})


def build_fused(host, fusion='mmdas.GateShiftFuse', options=None, num_frames=T, stages=None, **changes):
    scope, config, _ = HOSTS[host]
    fusion = fusion and dict(type=fusion, **(options or {}))
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(
            dict(
                type='mmdas.FrameFusionBackbone',
                backbone={**config, **changes},
                fusion=fusion,
                num_frames=num_frames,
                stages=stages,
            )
        )


def make_clip(num_frames=T, size=32):
    return torch.randn(B, num_frames * 3, size, size)


def open_gates(backbone):
    """Make every fusion mix frames."""
    for module in backbone.fusion.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.bias, 1.0)


def outputs(backbone, x):
    """All outputs in evaluation mode."""
    backbone.eval()
    with torch.no_grad():
        return list(backbone(x))


def assert_equals_plain(backbone, plain):
    """The backbone gives each frame exactly what the plain one gives it with the same weights."""
    plain.load_state_dict({k: v for k, v in backbone.state_dict().items() if not k.startswith('fusion.')})
    clip = make_clip()
    assert all_equal(outputs(backbone, clip), outputs(plain, clip_to_frames(clip, T)))


def all_equal(ours, theirs):
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize('fusion', FUSIONS)
@pytest.mark.parametrize('host', HOSTS)
def test_every_residual_block_fuses_once(host, fusion):
    backbone = build_fused(host, fusion)
    calls = []
    for module in backbone.fusion.values():
        assert isinstance(module, FrameFusion)
        module.register_forward_hook(lambda module, *_: calls.append(module))
    outputs(backbone, make_clip())
    assert len(calls) == len(set(calls)) == len(backbone.fusion) == HOSTS[host][2]


@pytest.mark.parametrize('host', HOSTS)
def test_outputs_have_the_frames_in_the_batch(host):
    shapes = [x.shape for x in outputs(build(host), torch.randn(B * 4, 3, 32, 64))]
    assert [x.shape for x in outputs(build_fused(host, num_frames=4), torch.randn(B, 4 * 3, 32, 64))] == shapes


@pytest.mark.parametrize('fusion', GATED)
@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.slow
def test_identity_initialisation_equals_the_plain_backbone_on_every_frame(host, fusion):
    backbone, plain = build_fused(host, fusion), build(host)
    assert_equals_plain(backbone, plain)
    backbone.init_weights()  # the host's, of all convolutions and norms below it
    assert_equals_plain(backbone, plain)


@pytest.mark.parametrize(('fusion', 'options'), [('mmdas.TemporalShift', dict(fraction=0)), (None, None)])
@pytest.mark.parametrize('host', KINDS)
def test_without_a_shift_or_fusion_every_frame_passes_the_plain_backbone(host, fusion, options):
    assert_equals_plain(build_fused(host, fusion, options), build(host))


@pytest.mark.parametrize('fusion', FUSIONS)
@pytest.mark.parametrize('host', KINDS)
def test_a_frame_changes_the_features_of_its_neighbours(host, fusion):
    backbone = build_fused(host, fusion)
    open_gates(backbone)
    clip = make_clip()
    changed = clip.clone()
    changed[0, :3] += 1  # frame 0 of the first image
    before, after = outputs(backbone, clip)[-1], outputs(backbone, changed)[-1]
    assert not torch.equal(before[1], after[1])
    assert torch.equal(before[T:], after[T:])  # the second image


@pytest.mark.parametrize(
    ('host', 'fusion'),
    [*((host, GATED[1]) for host in HOSTS), ('mmseg-ResNet', FUSIONS[0]), ('mmseg-ResNet', GATED[0])],
)
def test_checkpoint_of_the_plain_backbone_misses_only_the_fusion(host, fusion):
    backbone, plain = build_fused(host, fusion), build(host)
    result = backbone.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert set(result.missing_keys) == {f'fusion.{name}' for name, _ in backbone.fusion.named_parameters()} | {
        f'fusion.{name}' for name, _ in backbone.fusion.named_buffers() if 'running' in name
    }
    assert (len(result.missing_keys) == 0) == (fusion == 'mmdas.TemporalShift')
    state = backbone.state_dict()
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize('key', ['init_cfg', 'pretrained'])
def test_pretrained_weights_load_through_the_config(key, tmp_path):
    plain = build('mmseg-ResNet')
    file = str(tmp_path / 'plain.pth')
    torch.save({'state_dict': {f'backbone.{name}': value for name, value in plain.state_dict().items()}}, file)
    if key == 'init_cfg':
        backbone = build_fused('mmseg-ResNet', init_cfg=dict(type='Pretrained', checkpoint=file, prefix='backbone'))
    else:  # as MMSegmentation's segmentors pass their own `pretrained` on
        torch.save(plain.state_dict(), file)
        config = dict(
            type='mmdas.FrameFusionBackbone',
            backbone=HOSTS['mmseg-ResNet'][1],
            num_frames=T,
            fusion=dict(type='mmdas.GateShift'),
            pretrained=file,
        )
        with DefaultScope.overwrite_default_scope('mmseg'):
            backbone = MODELS.build(config)
    clip = make_clip()
    assert not all_equal(outputs(backbone, clip), outputs(plain, clip_to_frames(clip, T)))
    backbone.init_weights()
    assert all_equal(outputs(backbone, clip), outputs(plain, clip_to_frames(clip, T)))


@pytest.mark.parametrize(
    ('host', 'stages', 'prefixes', 'count'),
    [
        ('mmseg-ResNetV1c', [0], ('layer1',), 3),
        ('mmseg-ResNetV1c', [1, 3], ('layer2', 'layer4'), 4 + 3),
        ('mmpretrain-ResNet_CIFAR', (2,), ('layer3',), 2),
        ('mmseg-MobileNetV2', [0, 1], ('layer2', 'layer3'), 1 + 2),  # layer1 has no shortcut
        ('mmpretrain-HRNet', [3], ('stage4',), 4),
        ('mmpretrain-ConvNeXt', [2, 3], ('stages_2', 'stages_3'), 2 + 1),
    ],
)
def test_only_the_named_stages_fuse(host, stages, prefixes, count):
    names = list(build_fused(host, stages=stages).fusion)
    assert len(names) == count
    assert all(name.startswith(prefixes) for name in names)


def test_convolutions_can_be_named_in_a_backbone_without_residual_blocks(mmseg_scope):
    unet = dict(type='UNet', base_channels=8, num_stages=2, strides=(1, 1), enc_num_convs=(1, 1))
    unet.update(dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,))
    path = 'encoder.1.1.convs.0.conv'
    fused, plain = (
        MODELS.build(dict(type='mmdas.FrameFusionBackbone', backbone=unet, num_frames=T, fusion=fusion, stages=[path]))
        for fusion in (dict(type='mmdas.TemporalShift', fraction=0.5), None)
    )
    plain.load_state_dict(without_records(fused))
    assert len(fused.fusion) == 1
    x = make_clip(size=16)
    first_of_fused, first_of_plain = outputs(fused, x)[0], outputs(plain, x)[0]
    assert not torch.equal(first_of_fused, first_of_plain)  # the deepest features come first


class TestErrors:
    @pytest.mark.parametrize(
        'config',
        [
            dict(type='mmpretrain.LeNet5'),
            dict(type='mmpretrain.DenseNet', arch='121'),  # concatenates, its layers have conv1 and conv2
        ],
        ids=lambda config: config['type'],
    )
    def test_backbone_without_a_place_for_fusion(self, config, mmseg_scope):
        config = dict(
            type='mmdas.FrameFusionBackbone', backbone=config, num_frames=T, fusion=dict(type='mmdas.GateShift')
        )
        with pytest.raises(ValueError, match='has no residual block .*--fusion none'):
            MODELS.build(config)

    @pytest.mark.parametrize('stages', [[4], [-1], [0, 7], []])
    def test_stage_that_is_not_there(self, stages):
        with pytest.raises(ValueError, match=r"stages=.*ResNet has the stages 0\.\.3, which are \['layer1', "):
            build_fused('mmseg-ResNet', stages=stages)

    @pytest.mark.parametrize(('path', 'found'), [('layer1.0.conv9', 'nothing'), ('layer1', 'ResLayer')])
    def test_path_that_leads_to_no_convolution(self, path, found):
        with pytest.raises(ValueError, match=f'ResNet.{path} should be a convolution .*found {found}'):
            build_fused('mmseg-ResNet', stages=['layer1.0.conv1', path])

    @pytest.mark.parametrize(('ours', 'theirs'), [(4, 8), (1, 8), (4, 1), (8, 4), (4, 2)])
    def test_clip_with_another_number_of_frames(self, ours, theirs):
        backbone = build_fused('mmseg-ResNet', num_frames=ours)
        message = f'backbone.num_frames is {ours}, data_preprocessor.num_frames is {theirs}'
        with pytest.raises(ValueError, match=message) as caught:
            backbone(make_clip(theirs))
        assert ('The images have' in str(caught.value)) == (theirs * 3 % ours == 0)  # as they may also have

    @pytest.mark.parametrize(
        ('network', 'image', 'num_frames'), [(1, 3, 4), (3, 1, 4), (3, 4, 4), (4, 3, 8), (3, 1, 1)]
    )
    def test_images_of_other_channels_than_the_network(self, network, image, num_frames):
        backbone = build_fused('mmseg-ResNet', num_frames=num_frames, in_channels=network)
        with pytest.raises(
            ValueError, match=f'The images have {image} channels, the network takes {network}: set color'
        ):
            backbone(torch.rand(1, num_frames * image, 32, 32))

    def test_clip_that_no_number_of_frames_or_channels_explains(self):
        with pytest.raises(ValueError, match='takes clips of 12 channels .*, got one of 10'):
            build_fused('mmseg-ResNet', num_frames=4)(torch.rand(1, 10, 32, 32))

    def test_frames_of_the_fusion_differ_from_the_backbone(self):
        with pytest.raises(ValueError, match='fusion.num_frames is 8, backbone.num_frames is 4'):
            build_fused('mmseg-ResNet', options=dict(num_frames=8), num_frames=4)

    @pytest.mark.parametrize('num_frames', [0, -1])
    def test_no_frames(self, num_frames):
        with pytest.raises(ValueError, match=f'backbone.num_frames must be at least 1, got {num_frames}'):
            build_fused('mmseg-ResNet', num_frames=num_frames)

    @pytest.mark.parametrize('fusion', ['mmdas.NoSuchFusion', 'BasicBlock', 'mmdas.DASCell'])
    def test_type_that_is_no_fusion(self, fusion):
        with pytest.raises(ValueError, match=f"fusion type '{fusion}' should be"):
            build_fused('mmseg-ResNet', fusion)

    def test_channels_that_do_not_divide_name_the_place(self):
        with pytest.raises(ValueError, match=r'layer1\.0\.conv2 .*multiple of 4, got 6'):
            build_fused('mmseg-ResNet', 'mmdas.GateShift', base_channels=6)

    def test_wrapped_twice(self):
        inner = dict(type='mmdas.FrameFusionBackbone', backbone=HOSTS['mmseg-ResNet'][1], num_frames=T)
        with (
            DefaultScope.overwrite_default_scope('mmseg'),
            pytest.raises(ValueError, match='already takes frames; use .* only once'),
        ):
            MODELS.build(dict(type='mmdas.FrameFusionBackbone', backbone=inner, num_frames=T))


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=['copy', 'pickle'])
@pytest.mark.parametrize('host', KINDS)
def test_duplicate_uses_its_own_fusion_modules(host, duplicate):
    backbone, clip = build_fused(host), make_clip()
    before = outputs(backbone, clip)
    other = duplicate(backbone)
    assert all_equal(outputs(other, clip), before)
    open_gates(other)
    assert not all_equal(outputs(other, clip), before)
    assert all_equal(outputs(backbone, clip), before)


@pytest.mark.parametrize('host', ['mmseg-ResNet', 'mmpretrain-ResNet'])
def test_frozen_stages_stay_frozen_and_their_fusion_trains(host):
    backbone = build_fused(host, frozen_stages=2, norm_eval=False)
    backbone.train()
    assert not any(p.requires_grad for layer in (backbone.layer1, backbone.layer2) for p in layer.parameters())
    assert not any(m.training for m in backbone.layer2.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(p.requires_grad for layer in (backbone.layer3, backbone.fusion) for p in layer.parameters())
    sum(x.square().mean() for x in backbone(make_clip())).backward()
    assert backbone.fusion['layer1_0_conv2' if host == 'mmseg-ResNet' else 'layer1_0_conv3'].conv3D.weight.grad.any()


def test_training_and_evaluation_mode_reach_the_fusion():
    backbone = build_fused('mmseg-ResNet')
    for mode in (True, False):
        backbone.train(mode)
        assert all(module.training is mode for module in backbone.fusion.modules())


@pytest.mark.parametrize('host', ['mmseg-ResNet', 'mmpretrain-MobileNetV2', 'mmseg-HRNet', 'mmpretrain-ConvNeXt'])
@pytest.mark.parametrize('fusion', FUSIONS)
def test_gradient_checkpointing_gives_the_same_gradients(host, fusion):
    plain, checkpointing = (build_fused(host, fusion, with_cp=with_cp).double() for with_cp in (False, True))
    checkpointing.load_state_dict(plain.state_dict())
    clip = make_clip().double().requires_grad_()
    for backbone in (plain, checkpointing):
        open_gates(backbone)
        backbone.train()
        sum(x.square().mean() for x in backbone(clip)).backward()
    for (name, ours), theirs in zip(checkpointing.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


@pytest.mark.parametrize('fusion', GATED)
@pytest.mark.parametrize('host', KINDS)
def test_gradient_reaches_every_fusion_module_from_the_start(host, fusion):
    backbone = build_fused(host, fusion)
    backbone.train()
    sum((x * torch.randn_like(x)).mean() for x in backbone(make_clip())).backward()
    assert all(p.grad is not None for p in backbone.fusion.parameters())
    assert all(module.conv3D.weight.grad.any() for module in backbone.fusion.values())


def test_images_of_other_channels_than_three():
    backbone = build_fused('mmseg-ResNet', in_channels=1)
    x = torch.randn(B, T, 32, 32)
    assert outputs(backbone, x)[0].shape[0] == B * T


@pytest.mark.slow
def test_tracing_and_export_keep_the_fusion():
    backbone = build_fused('mmseg-ResNet')
    open_gates(backbone)
    clip = make_clip()
    expected = outputs(backbone, clip)
    with torch.no_grad():
        assert all_equal(list(torch.jit.trace(backbone, clip, check_trace=False)(clip)), expected)
        exported = torch.export.export(backbone, (clip,), strict=False).module()
        assert all_equal(list(exported(clip)), expected)
