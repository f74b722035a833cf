"""What mmdas adds to a host stays its own, whatever the host does to all modules below it."""

import copy
import pickle

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from torch import nn

from mmdas.models import FrameFusionBackbone
from mmdas.models.settings import KEY
from mmdas.registry import MODELS

T = 2
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
SEGFORMER = dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1])
PIDNET = dict(type='PIDNet', in_channels=3, channels=4, ppm_channels=4, num_stem_blocks=1, num_branch_blocks=1)
SHUFFLENET = dict(type='ShuffleNetV1', groups=3)

# One backbone for every `init_weights` that the toolboxes write; the convolutions are named where it has no blocks.
HOSTS = {
    'mmseg-ResNet': ('mmseg', RESNET, None),
    'mmseg-SegFormer': ('mmseg', SEGFORMER, None),
    'mmseg-SegNeXt': ('mmseg', dict(type='MSCAN', embed_dims=[8, 16, 32, 64], depths=[1, 1, 1, 1]), None),
    'mmseg-PIDNet': ('mmseg', PIDNET, None),
    'mmseg-Swin': ('mmseg', dict(type='SwinTransformer', depths=(1, 1, 1, 1)), ['patch_embed.projection']),
    'mmseg-Twins': (
        'mmseg',
        dict(
            type='PCPVT',
            embed_dims=[8, 16, 40, 64],
            num_heads=[1, 2, 5, 8],
            mlp_ratios=[2] * 4,
            depths=[1] * 4,
            sr_ratios=[8, 4, 2, 1],
        ),
        ['patch_embeds.0.projection'],
    ),
    'mmpretrain-ResNet': ('mmpretrain', dict(**RESNET, zero_init_residual=True), None),
    'mmpretrain-ShuffleNetV1': ('mmpretrain', SHUFFLENET, None),
    'mmpretrain-ShuffleNetV2': ('mmpretrain', dict(type='ShuffleNetV2', widen_factor=0.5), ['conv1.conv']),
    'mmpretrain-Conformer': (
        'mmpretrain',
        dict(type='Conformer', arch=dict(embed_dims=24, channel_ratio=1, num_heads=2, depths=4)),
        None,
    ),
}
FCN = dict(in_channels=8, channels=8, num_classes=4, dropout_ratio=0.0)
SEGMENTER = dict(
    type='SegmenterMaskTransformerHead',
    num_layers=1,
    num_heads=2,
    embed_dims=8,
    in_channels=8,
    channels=8,
    num_classes=4,
)
HEADS = {
    'mmseg-FCN': ('mmseg', 'mmdas.TemporalPoolingHead', dict(type='FCNHead', **FCN)),
    'mmseg-Segmenter': ('mmseg', 'mmdas.TemporalPoolingHead', SEGMENTER),
    'mmpretrain-Linear': (
        'mmpretrain',
        'mmdas.TemporalPoolingClsHead',
        dict(type='LinearClsHead', num_classes=4, in_channels=8),
    ),
}


def build(host: str, **changes) -> nn.Module:
    scope, config, stages = HOSTS[host]
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(
            dict(
                type='mmdas.FrameFusionBackbone',
                backbone={**config, **changes},
                num_frames=T,
                fusion=dict(type='mmdas.GateShiftFuse'),
                stages=stages,
            )
        )


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def train_fusion(backbone: nn.Module) -> None:
    """Other values in all tensors of the fusion."""
    for tensor in backbone.fusion.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) + 1)


def test_extended_module_has_a_class_of_its_own_that_extends_the_class_of_the_host():
    scope, config, _ = HOSTS['mmseg-ResNet']
    with DefaultScope.overwrite_default_scope(scope):
        host = MODELS.build(config)
    backbone, other = (build(name) for name in ('mmseg-ResNet', 'mmpretrain-ResNet'))
    assert isinstance(backbone, FrameFusionBackbone)
    assert isinstance(backbone, type(host))
    assert not isinstance(other, type(host))
    assert type(backbone) is type(build('mmseg-ResNet')) is type(copy.deepcopy(backbone))
    methods = ('forward', 'train', 'init_weights')
    assert not any(name in vars(backbone) for name in methods)
    assert all(getattr(type(backbone), name) is getattr(FrameFusionBackbone, name) for name in methods)
    assert type(host).__name__ == 'ResNet'  # the class of the host stays as it is


@pytest.mark.parametrize('host', ['mmseg-ResNet', 'mmpretrain-ShuffleNetV1'])
def test_printed_backbone_names_the_convolutions_whose_hooks_fuse(host):
    backbone = build(host)
    text = repr(backbone)
    assert text.startswith(f'{HOSTS[host][1]["type"]}WithFusion(')
    hooked = [name for name, module in backbone.named_modules() if module._forward_hooks]
    assert f'hooks fuse the outputs of {", ".join(hooked)}\n' in text
    assert 'num_frames=2' in text


def test_module_that_is_given_is_extended_itself():
    scope, config, _ = HOSTS['mmpretrain-ResNet']
    with DefaultScope.overwrite_default_scope(scope):
        host = MODELS.build(config)
    assert FrameFusionBackbone(host, num_frames=T, fusion=dict(type='mmdas.TemporalShift')) is host


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.slow
def test_initialisation_of_the_host_leaves_the_start_of_the_fusion(host):
    backbone = build(host)
    start, others = state_of(backbone.fusion), state_of(backbone)
    backbone.init_weights()
    assert same(state_of(backbone.fusion), start)
    assert not same(state_of(backbone), others)


@pytest.mark.parametrize('host', ['mmseg-ResNet', 'mmseg-SegFormer'])
def test_initialisation_of_all_convolutions_of_a_model_leaves_the_start_of_the_fusion(host):
    backbone = build(host)
    start = state_of(backbone.fusion)
    model = BaseModule(init_cfg=dict(type='Kaiming', layer=['Conv2d', 'Conv3d']))
    model.backbone = backbone
    model.init_weights()
    assert same(state_of(backbone.fusion), start)


@pytest.mark.parametrize(
    ('host', 'as_list'),
    [('mmseg-ResNet', False), ('mmseg-SegFormer', False), ('mmseg-PIDNet', False), ('mmpretrain-ShuffleNetV1', True)],
)
def test_fusion_of_a_pretrained_checkpoint_is_kept(host, as_list, tmp_path):
    trained = build(host)
    train_fusion(trained)
    file = str(tmp_path / 'trained.pth')
    torch.save(trained.state_dict(), file)
    init_cfg = dict(type='Pretrained', checkpoint=file)
    backbone = build(host, init_cfg=[init_cfg] if as_list else init_cfg)
    backbone.init_weights()
    assert same(state_of(backbone.fusion), state_of(trained.fusion))


def test_checkpoint_of_the_plain_backbone_or_of_other_widths_leaves_the_start_of_the_fusion(tmp_path):
    backbone = build('mmseg-SegFormer')
    start = state_of(backbone.fusion)
    state = {
        name: value[:1] if 'fusion' in name and value.ndim else value for name, value in state_of(backbone).items()
    }
    state = {name: value + 1 for name, value in state.items() if 'conv' not in name or 'fusion' not in name}
    state = {name: value for name, value in state.items() if not name.endswith(KEY)}
    file = str(tmp_path / 'other.pth')
    torch.save({name: value for name, value in state.items() if not name.endswith('num_batches_tracked')}, file)
    backbone = build('mmseg-SegFormer', init_cfg=dict(type='Pretrained', checkpoint=file))
    backbone.init_weights()
    assert same(state_of(backbone.fusion), start)


def test_second_initialisation_leaves_a_trained_fusion_as_it_leaves_the_host():
    backbone = build('mmseg-ResNet')
    backbone.init_weights()
    train_fusion(backbone)
    trained = state_of(backbone)
    backbone.init_weights()  # a runner does so with a model that it is given
    assert same(state_of(backbone), trained)


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=['copy', 'pickle'])
def test_copies_initialise_and_train_themselves_alone(duplicate):
    backbone = build('mmseg-SegFormer')
    train_fusion(backbone)
    before, other = state_of(backbone), duplicate(backbone)
    backbone.eval()
    other.init_weights()
    other.train()
    assert same(state_of(backbone), before)
    assert not backbone.fusion.training
    assert same(state_of(other.fusion), state_of(build('mmseg-SegFormer').fusion))


@pytest.mark.parametrize('host', HEADS)
def test_attention_starts_as_the_mean_under_the_initialisation_of_the_head(host):
    scope, kind, config = HEADS[host]
    with DefaultScope.overwrite_default_scope(scope):
        config = {**config, 'init_cfg': dict(type='Normal', layer='Linear', std=1.0)}
        head = MODELS.build(dict(type=kind, head=config, num_frames=T, pooling='attention'))
    head.init_weights()
    assert not any(parameter.any() for parameter in head.temporal_pooling.parameters())


@pytest.mark.parametrize('frozen', [-1, 2])
@pytest.mark.parametrize('host', ['mmseg-ResNet', 'mmpretrain-ResNet'])
def test_norms_of_the_fusion_learn_their_statistics_under_norm_eval(host, frozen):
    backbone = build(host, norm_eval=True, frozen_stages=frozen)
    model = nn.Sequential(backbone)
    assert backbone.train() is backbone
    model.eval()
    model.train()
    norms = {name: m for name, m in backbone.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert all(norm.training == name.startswith('fusion.') for name, norm in norms.items())
    start = state_of(backbone)
    backbone(torch.rand(1, T * 3, 32, 32))
    moved = {name for name, value in state_of(backbone).items() if not torch.equal(value, start[name])}
    statistics = ('running_mean', 'running_var', 'num_batches_tracked')
    assert moved == {f'{name}.{value}' for name in norms if name.startswith('fusion.') for value in statistics}
    model.eval()
    assert not any(module.training for module in backbone.modules())
