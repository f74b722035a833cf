"""The kinds of residual blocks in the backbones of both toolboxes."""

import re

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmdas.models.backbones.placement import BLOCK_KINDS, Site, block_convs, find_sites, named_sites
from mmdas.ops.clip import clip_to_frames
from mmdas.registry import MODELS

T = 2
STDC = dict(
    type='STDCContextPathNet',
    backbone_cfg=dict(
        type='STDCNet',
        stdc_type='STDCNet1',
        in_channels=3,
        channels=(8, 16, 32, 64, 128),
        bottleneck_type='cat',
        num_convs=4,
        norm_cfg=dict(type='BN'),
        act_cfg=dict(type='ReLU'),
    ),
    last_in_channels=(128, 64),
    out_channels=16,
    ffm_cfg=dict(in_channels=48, out_channels=32, scale_factor=4),
)
# Scope, config, and the number of blocks with a shortcut that the tables of the papers give.
HOSTS = {
    'BiSeNetV2': ('mmseg', dict(type='BiSeNetV2'), 2 + 2 + 4),
    'CGNet': ('mmseg', dict(type='CGNet', num_channels=(8, 16, 32), num_blocks=(2, 3)), 1 + 2),
    'ERFNet': ('mmseg', dict(type='ERFNet'), 5 + 8 + 2 + 2),
    'FastSCNN': ('mmseg', dict(type='FastSCNN'), 2 + 2 + 2),
    'DDRNet': ('mmseg', dict(type='DDRNet', in_channels=3, channels=8, ppm_channels=8), 2 + 2 + 2 + 2 + 2 + 2 + 2),
    'SegFormer': ('mmseg', dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 2, 1]), 5),
    'SegNeXt': ('mmseg', dict(type='MSCAN', embed_dims=[8, 16, 32, 64], depths=[1, 1, 2, 1]), 5),
    'MobileNetV3 of mmseg': ('mmseg', dict(type='MobileNetV3', arch='small'), 1 + 2 + 1 + 2),
    'MobileNetV3': ('mmpretrain', dict(type='MobileNetV3', arch='small'), 1 + 2 + 1 + 2),
    'EfficientNet': ('mmpretrain', dict(type='EfficientNet', arch='b0'), 1 + 1 + 2 + 2 + 3),
    'ShuffleNetV1': ('mmpretrain', dict(type='ShuffleNetV1'), 4 + 8 + 4),
    'CSPDarkNet': ('mmpretrain', dict(type='CSPDarkNet', depth=53), 1 + 2 + 8 + 8 + 4),
    'VAN': ('mmpretrain', dict(type='VAN', arch='tiny'), 3 + 3 + 5 + 2),
    'HorNet': ('mmpretrain', dict(type='HorNet', arch='tiny'), 2 + 3 + 18 + 2),
    'PoolFormer': ('mmpretrain', dict(type='PoolFormer', arch='s12'), 2 + 2 + 6 + 2),
    'ConvMixer': ('mmpretrain', dict(type='ConvMixer', arch='768/32'), 32),
    'Conformer': ('mmpretrain', dict(type='Conformer', arch='tiny'), 1 + 11 * 2),
}
each_host = pytest.mark.parametrize('host', HOSTS)


def build(host: str) -> nn.Module:
    scope, config, _ = HOSTS[host]
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(dict(config))


@each_host
def test_every_block_with_a_shortcut_has_one_site(host: str):
    backbone = build(host)
    sites = find_sites(backbone)
    assert len({site.last for site in sites}) == len(sites) == HOSTS[host][2]
    convs = [backbone.get_submodule(path) for site in sites for path in (site.first, site.last)]
    assert all(isinstance(conv, nn.Conv2d) for conv in convs)


@pytest.mark.parametrize('fusion', ['mmdas.TemporalShift', 'mmdas.GateShiftFuse'])
@pytest.mark.parametrize('host', ['BiSeNetV2', 'DDRNet', 'SegFormer', 'SegNeXt', 'MobileNetV3', 'PoolFormer'])
def test_fusion_mixes_the_frames_of_an_image_and_of_no_other(host: str, fusion: str):
    fused = MODELS.build(
        dict(type='mmdas.FrameFusionBackbone', backbone=build(host), num_frames=T, fusion=dict(type=fusion))
    )
    for module in fused.fusion.modules():  # open gates, so that every module shifts something
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.bias, 1.0)
    for name, parameter in fused.named_parameters():
        if 'layer_scale' in name:  # starts so small that the blocks hardly count
            nn.init.ones_(parameter)
    fused.eval()
    clip = torch.randn(2, T * 3, 64, 64)
    other = clip.clone()
    other[0, 3:] = torch.randn(3, 64, 64)  # another second frame of the first image
    with torch.no_grad():
        before, after = (first_tensor(fused(x)) for x in (clip, other))
    changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [True, True, False, False]


def first_tensor(outputs) -> torch.Tensor:
    return outputs if torch.is_tensor(outputs) else first_tensor(outputs[-1])


@pytest.mark.parametrize('host', ['SegFormer', 'VAN'])
def test_without_fusion_every_frame_is_an_image_of_its_own(host: str):
    plain = build(host)
    wrapped = MODELS.build(dict(type='mmdas.FrameFusionBackbone', backbone=build(host), num_frames=T))
    for backbone in (plain, wrapped):  # in two steps: train() of some backbones returns None
        backbone.eval()
    wrapped.load_state_dict(plain.state_dict())
    clip = torch.randn(1, T * 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(first_tensor(wrapped(clip)), first_tensor(plain(clip_to_frames(clip, T))))


class Shortcut(nn.Module):
    """A block of a user's own, in the form of Fast-SCNN's."""

    def __init__(self, use_res_connect: bool) -> None:
        super().__init__()
        self.use_res_connect = use_res_connect
        self.conv = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))


def test_block_is_known_by_what_it_has():
    assert block_convs(Shortcut(True)) == ('conv.0', 'conv.2')


def test_block_that_says_it_has_no_shortcut_has_no_site():
    assert block_convs(Shortcut(False)) is None


@pytest.mark.parametrize(
    'config',
    [
        ('mmseg', STDC),
        ('mmpretrain', dict(type='VGG', depth=11)),
        ('mmpretrain', dict(type='DenseNet', arch='121')),
    ],
    ids=lambda config: config[1]['type'],
)
def test_backbones_without_residual_blocks_have_no_site(config):
    with DefaultScope.overwrite_default_scope(config[0]):
        backbone = MODELS.build(config[1])
    with pytest.raises(ValueError, match='has no residual block'):
        find_sites(backbone)


def test_all_convolutional_blocks_of_u_net_have_sites():
    with DefaultScope.overwrite_default_scope('mmseg'):
        backbone = MODELS.build(dict(type='UNet', base_channels=8, num_stages=5))
    blocks = [name for name, module in backbone.named_modules() if type(module).__name__ == 'BasicConvBlock']
    assert len(blocks) == 9
    assert find_sites(backbone) == [Site(f'{name}.convs.0.conv', f'{name}.convs.1.conv') for name in blocks]


def test_refusal_names_convolutions_that_can_be_named():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(dict(type='VGG', depth=11))
    with pytest.raises(ValueError, match='and 1 more: name some by --sites') as caught:
        find_sites(backbone)
    paths = re.search('convolutions are (.*) and 1 more', str(caught.value))[1].split(', ')
    assert len(named_sites(backbone, paths)) == 6


def test_refusal_of_a_backbone_without_inner_convolutions_says_to_go_without():
    with pytest.raises(ValueError, match='be fused; go without fusion: --fusion none'):
        find_sites(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 8)))


def test_every_kind_says_whose_blocks_look_like_it():
    assert all(kind.examples for kind in BLOCK_KINDS)
