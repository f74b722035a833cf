"""Fusion at the tokens of transformers of both toolboxes, made small."""

import copy
import pickle

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmdas.models.backbones import token_placement
from mmdas.models.backbones.placement import find_sites, named_sites
from mmdas.models.backbones.token_placement import TOKEN_KINDS, TokenKind, token_sites
from mmdas.ops.clip import clip_to_frames
from mmdas.registry import MODELS

B, T = 2, 3
GATED = ('mmdas.GateShift', 'mmdas.GateShiftFuse')
SMALL = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
VIT = dict(arch=SMALL, img_size=32, patch_size=8)
SWIN = dict(embed_dims=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 2])
SEG_VIT = dict(img_size=32, patch_size=8, embed_dims=16, num_layers=2, num_heads=2, mlp_ratio=2, out_indices=[0, 1])
TWINS = dict(
    embed_dims=[16, 16, 32, 32],
    depths=[1, 2, 1, 1],
    num_heads=[1, 1, 2, 2],
    strides=[4, 2, 2, 2],
    mlp_ratios=[2] * 4,
    sr_ratios=[8, 4, 2, 1],
)
T2T = dict(
    img_size=32,
    embed_dims=16,
    num_layers=2,
    t2t_cfg=dict(token_dims=8),
    layer_cfgs=dict(num_heads=2, feedforward_channels=32),
)
XCIT = dict(patch_size=8, embed_dims=16, depth=2, cls_attn_layers=1, num_heads=2, out_type='featmap')
TNT = dict(embed_dims_outer=16, embed_dims_inner=8, num_layers=2, num_heads_outer=2, num_heads_inner=2)
MVIT = dict(embed_dims=16, num_layers=3, num_heads=1, downscale_indices=[1, 2])
DAVIT = dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])

# Name: scope of the config, type, options, blocks.
HOSTS = {
    'ViT': ('mmpretrain', dict(type='VisionTransformer', out_type='featmap', **VIT), 2),
    'DeiT': ('mmpretrain', dict(type='DistilledVisionTransformer', **VIT), 2),
    'DeiT3': ('mmpretrain', dict(type='DeiT3', out_type='featmap', **VIT), 2),
    'BEiT': ('mmpretrain', dict(type='BEiTViT', out_type='featmap', **(VIT | dict(img_size=64, patch_size=16))), 2),
    'EVA-02': ('mmpretrain', dict(type='ViTEVA02', out_type='featmap', **(VIT | dict(img_size=64, patch_size=16))), 2),
    'RevViT': ('mmpretrain', dict(type='RevVisionTransformer', **VIT), 2),
    'Swin': ('mmpretrain', dict(type='SwinTransformer', arch=SWIN, img_size=64, pad_small_map=True), 5),
    'SwinV2': (
        'mmpretrain',
        dict(
            type='SwinTransformerV2',
            arch=dict(SWIN, extra_norm_every_n_blocks=0),
            img_size=64,
            window_size=2,
            pad_small_map=True,
        ),
        5,
    ),
    'XCiT': ('mmpretrain', dict(type='XCiT', layer_scale_init_value=1.0, **XCIT), 3),
    'T2T-ViT': ('mmpretrain', dict(type='T2T_ViT', **T2T), 2),
    'MLP-Mixer': (
        'mmpretrain',
        dict(
            type='MlpMixer',
            arch=dict(embed_dims=16, num_layers=2, tokens_mlp_dims=8, channels_mlp_dims=16),
            img_size=64,
            patch_size=16,
        ),
        2,
    ),
    'TNT': ('mmpretrain', dict(type='TNT', arch=TNT, img_size=64), 2),
    'MViT': ('mmpretrain', dict(type='MViT', arch=MVIT, img_size=64), 3),
    'DaViT': ('mmpretrain', dict(type='DaViT', arch=DAVIT, window_size=4, pad_small_map=True), 2 * 4),
    'HiViT': (
        'mmpretrain',
        dict(type='HiViT', arch=dict(embed_dims=32, depths=[1, 1, 10], num_heads=2), img_size=64),
        10,
    ),
    'LeViT': ('mmpretrain', dict(type='LeViT', arch='128s', img_size=64), 2 + 3 + 4),
    'mmseg-ViT': ('mmseg', dict(type='VisionTransformer', **SEG_VIT), 2),
    'mmseg-Swin': ('mmseg', dict(type='SwinTransformer', window_size=4, **SWIN), 5),
    'mmseg-BEiT': ('mmseg', dict(type='BEiT', **(SEG_VIT | dict(img_size=64, patch_size=16))), 2),
    'mmseg-MAE': ('mmseg', dict(type='MAE', **(SEG_VIT | dict(img_size=64, patch_size=16))), 2),
    'mmseg-PCPVT': ('mmseg', dict(type='PCPVT', patch_sizes=[4, 2, 2, 2], out_indices=(0, 1, 2, 3), **TWINS), 5),
    'mmseg-SVT': ('mmseg', dict(type='SVT', out_indices=(0, 1, 2, 3), windiow_sizes=[4] * 4, **TWINS), 5),
}
# Tokens with that of a class, windows, and maps of falling size.
KINDS = ('ViT', 'mmseg-Swin', 'mmseg-PCPVT')
each_host = pytest.mark.parametrize('host', HOSTS)
each_kind = pytest.mark.parametrize('host', KINDS)


def build(host: str, **changes) -> nn.Module:
    scope, config, _ = HOSTS[host]
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build({**config, **changes})


def fuse(plain: nn.Module, fusion: str = 'mmdas.GateShiftFuse', num_frames: int = T, **options) -> nn.Module:
    """A fused copy of a plain backbone, in evaluation mode as it is itself from now on."""
    config = dict(type='mmdas.FrameFusionBackbone', backbone=copy.deepcopy(plain), num_frames=num_frames)
    fused = MODELS.build(dict(config, fusion=dict(type=fusion), **options))
    for backbone in (plain, fused):
        backbone.eval()
    return fused


def open_gates(backbone: nn.Module) -> nn.Module:
    for module in backbone.fusion.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.normal_(module.weight, std=0.1)
            nn.init.constant_(module.bias, 1.0)
    return backbone


def outputs(backbone: nn.Module, clip: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return leaves(backbone(clip))


def leaves(values) -> list[Tensor]:
    return [values] if torch.is_tensor(values) else [leaf for value in values for leaf in leaves(value)]


def all_equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def changed_frames(backbone: nn.Module, num_frames: int, frame: int) -> list[int]:
    """The frames of two images whose outputs change with one frame of the first."""
    clip = torch.randn(2, num_frames * 3, 64, 64)
    other = clip.clone()
    other[0, 3 * frame : 3 * frame + 3] += torch.randn(3, 64, 64)
    pairs = zip(outputs(backbone, clip), outputs(backbone, other), strict=True)
    changed = [torch.stack([(a - b).abs().sum() for a, b in zip(x, y, strict=True)]) > 0 for x, y in pairs]
    return torch.stack(changed).any(0).nonzero().flatten().tolist()


@each_host
def test_every_block_has_one_site_and_the_gates_start_as_the_identity(host: str):
    plain = build(host)
    fused = fuse(plain)
    assert len(fused.fusion) == HOSTS[host][2]
    clip = torch.randn(B, T * 3, 64, 64)
    assert all_equal(outputs(fused, clip), outputs(plain, clip_to_frames(clip, T)))


@each_host
def test_keys_of_the_plain_backbone_stay(host: str):
    plain = build(host)
    result = fuse(plain).load_state_dict(plain.state_dict(), strict=False)
    without = copy.deepcopy(plain).load_state_dict(plain.state_dict(), strict=False)  # Swin V2 leaves some out itself
    missing = set(result.missing_keys) - set(without.missing_keys)
    assert not result.unexpected_keys
    assert missing
    assert all(name.startswith('fusion.') for name in missing)


# A gate sees the frames beside its own, and what it lets pass goes one frame on.
@pytest.mark.parametrize(('fusion', 'reach'), [('mmdas.TemporalShift', 1), *((fusion, 2) for fusion in GATED)])
@each_host
def test_a_frame_reaches_its_neighbours_and_no_other_in_one_block(host: str, fusion: str, reach: int):
    backbone = build(host)
    for name, parameter in backbone.named_parameters():
        if 'gamma' in name:  # scales of layers, which may start so small that the blocks hardly count
            nn.init.ones_(parameter)
    first = find_sites(backbone)[0].part
    fused = open_gates(fuse(backbone, fusion, num_frames=7, stages=[first]))
    assert changed_frames(fused, 7, 3) == list(range(3 - reach, 4 + reach))


@pytest.mark.parametrize('kind', TOKEN_KINDS, ids=lambda kind: kind.marker)
def test_every_kind_of_block_has_a_host_here(kind: TokenKind, monkeypatch):
    hosts = {name: build(name) for name in ('ViT', 'MLP-Mixer', 'TNT', 'LeViT')}
    assert all(token_sites(host) for host in hosts.values())
    monkeypatch.setattr(token_placement, 'TOKEN_KINDS', [other for other in TOKEN_KINDS if other is not kind])
    assert sum(not token_sites(host) for host in hosts.values()) == 1


@each_kind
def test_depth_carries_a_frame_further(host: str):
    assert changed_frames(fuse(build(host), 'mmdas.TemporalShift', num_frames=5), 5, 2) == [0, 1, 2, 3, 4]


@each_kind
def test_one_frame_is_the_plain_backbone(host: str):
    plain = build(host)
    fused = fuse(plain, num_frames=1)
    image = torch.randn(B, 3, 64, 64)
    assert list(fused.state_dict()) == list(plain.state_dict())
    assert all_equal(outputs(fused, image), outputs(plain, image))


@each_kind
def test_clips_of_fewer_frames_may_come(host: str):
    plain = build(host)
    config = dict(type='mmdas.TemporalShift', border='replicate')
    fused = MODELS.build(
        dict(
            type='mmdas.FrameFusionBackbone',
            backbone=copy.deepcopy(plain),
            num_frames=T,
            fusion=config,
            any_frames=True,
        )
    )
    for backbone in (plain, fused):
        backbone.eval()
    image = torch.randn(B, 3, 64, 64)
    several = outputs(fused, image.repeat(1, T, 1, 1))
    assert all(len(output) == B * T for output in several)
    assert all_equal(outputs(fused, image), outputs(plain, image))  # nothing moves where there is one frame


def by_hand(plain: nn.Module, norm: str, rule) -> nn.Module:
    """A copy of the plain ViT whose blocks pass what their first norm gives through a rule."""
    copied = copy.deepcopy(plain)
    for layer, block in enumerate(copied.layers):
        getattr(block, norm).register_forward_hook(lambda module, inputs, x, layer=layer: rule(layer, x))
    return copied


HW = (32, 64)  # frames that are no squares: height and width of the grid must not be confused


@pytest.mark.parametrize(('host', 'norm'), [('ViT', 'ln1'), ('mmseg-ViT', 'ln1')])
def test_shift_moves_the_channels_of_all_tokens(host: str, norm: str):
    def shifted(layer: int, tokens: Tensor) -> Tensor:
        out = tokens.clone()
        for row in range(B * T):
            image, frame = divmod(row, T)
            for channel, source in [(0, frame + 1), (1, frame + 1), (2, frame - 1), (3, frame - 1)]:
                inside = 0 <= source < T
                out[row, :, channel] = tokens[image * T + source, :, channel] if inside else 0
        return out

    plain, clip = build(host), torch.randn(B, T * 3, *HW)
    fused = fuse(plain, 'mmdas.TemporalShift')  # 1/8 of 16 channels each way
    assert all_equal(outputs(fused, clip), outputs(by_hand(plain, norm, shifted), clip_to_frames(clip, T)))


@pytest.mark.parametrize('fusion', GATED)
@pytest.mark.parametrize(('host', 'extra'), [('ViT', 1), ('DeiT', 2), ('mmseg-ViT', 1)])
def test_gated_fusion_sees_the_map_of_the_tokens_and_not_that_of_the_class(host: str, extra: int, fusion: str):
    plain, clip = build(host), torch.randn(B, T * 3, *HW)
    fused = open_gates(fuse(plain, fusion))
    height, width = (size // 8 for size in HW)

    def mapped(layer: int, tokens: Tensor) -> Tensor:
        maps = torch.empty(B * T, 16, height, width)
        for i in range(height):
            for j in range(width):
                maps[:, :, i, j] = tokens[:, extra + i * width + j]
        maps = fused.fusion[f'layers_{layer}_attn'](maps)
        return torch.cat([tokens[:, :extra], maps.flatten(2).transpose(1, 2)], dim=1)

    expected = outputs(by_hand(plain, 'ln1', mapped), clip_to_frames(clip, T))
    for ours, theirs in zip(outputs(fused, clip), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('fusion', ['mmdas.TemporalShift', 'mmdas.GateShiftFuse'])
@pytest.mark.parametrize('host', ['mmseg-Swin', 'mmseg-ViT'])
def test_gradient_checkpointing_gives_the_same_gradients(host: str, fusion: str):
    plain = open_gates(fuse(build(host, with_cp=False), fusion))
    checkpointing = fuse(build(host, with_cp=True), fusion)
    checkpointing.load_state_dict(plain.state_dict())
    clip = torch.randn(B, T * 3, *HW)
    for backbone in (plain, checkpointing):
        backbone.double()
        sum(x.square().mean() for x in leaves(backbone(clip.double().requires_grad_()))).backward()
    for (name, ours), theirs in zip(checkpointing.named_parameters(), plain.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None), name
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_reversible_layers_give_the_gradients_of_the_plain_way():
    backbone = open_gates(fuse(build('RevViT'))).double()
    clip, gradients = torch.randn(B, T * 3, 64, 64).double(), []
    for reversible in (True, False):
        backbone.no_custom_backward = not reversible
        backbone.train()
        backbone.zero_grad()
        sum(x.square().mean() for x in leaves(backbone(clip.clone().requires_grad_()))).backward()
        gradients.append({name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert {name for name, _ in backbone.fusion.named_parameters(prefix='fusion')} <= gradients[0].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


@each_kind
def test_initialisation_of_the_host_leaves_the_start_of_the_fusion(host: str):
    fused = fuse(build(host))
    start = {name: tensor.clone() for name, tensor in fused.fusion.state_dict().items()}
    fused.init_weights()
    assert all(torch.equal(tensor, start[name]) for name, tensor in fused.fusion.state_dict().items())


@each_kind
def test_gradient_reaches_every_fusion_module_from_the_start(host: str):
    fused = fuse(build(host))
    fused.train()
    sum((x * torch.randn_like(x)).mean() for x in leaves(fused(torch.randn(B, T * 3, 64, 64)))).backward()
    assert all(module.conv3D.weight.grad.any() for module in fused.fusion.values())


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=['copy', 'pickle'])
@each_kind
def test_duplicate_uses_its_own_fusion_modules_and_grid(host: str, duplicate):
    fused, clip = fuse(build(host)), torch.randn(B, T * 3, *HW)
    before = outputs(fused, clip)
    other = open_gates(duplicate(fused))
    assert not all_equal(outputs(other, clip), before)
    outputs(other, torch.randn(1, T * 3, 64, 64))
    assert all_equal(outputs(fused, clip), before)


@pytest.mark.parametrize('host', ['ViT', 'mmseg-Swin'])
def test_half_precision_keeps_the_identity(host: str):
    plain = build(host)
    fused, clip = fuse(plain), torch.randn(B, T * 3, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        assert all_equal(outputs(fused, clip), outputs(plain, clip_to_frames(clip, T)))


@pytest.mark.slow
@pytest.mark.parametrize('host', ['ViT', 'mmseg-Swin'])
def test_tracing_keeps_the_fusion(host: str):
    fused, clip = open_gates(fuse(build(host))), torch.randn(B, T * 3, 64, 64)
    expected = outputs(fused, clip)
    with torch.no_grad():
        traced = torch.jit.trace(fused, clip, check_trace=False)
        assert all_equal(leaves(traced(clip)), expected)


@pytest.mark.parametrize(
    ('host', 'stages', 'names'),
    [
        ('ViT', [1], ['layers_1_attn']),
        ('mmseg-Swin', [2], ['stages_2_blocks_0_attn', 'stages_2_blocks_1_attn']),
        ('ViT', ['layers.0.attn'], ['layers_0_attn']),
    ],
)
def test_layers_and_stages_can_be_chosen(host: str, stages: list, names: list[str]):
    assert list(fuse(build(host), stages=stages).fusion) == names


def test_attention_of_segformer_can_be_named_beside_its_convolutions():
    with DefaultScope.overwrite_default_scope('mmseg'):
        plain = MODELS.build(
            dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
        )
    by_default = [site.first for site in find_sites(plain)]
    assert all('ffn' in path for path in by_default)
    fused = fuse(plain, stages=['layers.0.1.0.attn', by_default[-1]])
    clip = torch.randn(B, T * 3, 64, 64)
    assert all_equal(outputs(fused, clip), outputs(plain, clip_to_frames(clip, T)))
    assert changed_frames(open_gates(fused), T, 0) == [0, 1, 2]  # two places carry it two frames


class TestErrors:
    def test_attention_within_windows_of_the_block(self):
        arch = dict(SMALL, global_attn_indexes=[1])
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            sam = MODELS.build(dict(type='ViTSAM', arch=arch, img_size=64, patch_size=16))
        fused = fuse(sam, 'mmdas.TemporalShift')
        with pytest.raises(ValueError, match=r'layers\.0\.attn of the backbone takes .*6 whole frames.*--fusion none'):
            fused(torch.randn(B, T * 3, 64, 64))

    def test_tokens_without_a_known_grid_take_the_shift_alone(self):
        plain = OddTransformer()
        clip = torch.randn(B, T * 3, 8, 12)
        assert fuse(plain, 'mmdas.TemporalShift')(clip).shape == (B * T, 17, 8)
        with pytest.raises(
            ValueError, match=r'no grid .* the 17 tokens at layers\.0\.attn .* 8 x 12 pixels; .*--fusion tsm'
        ):
            fuse(plain, 'mmdas.GateShift')(clip)

    def test_path_that_leads_to_neither_convolution_nor_attention(self):
        with pytest.raises(ValueError, match=r'layers\.0 should be a convolution or one of layers\.0\.attn, .*found'):
            named_sites(build('ViT'), ['layers.0'])


class Block(nn.Module):
    """A block of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.attn = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attn(self.norm1(x))


class OddTransformer(nn.Module):
    """A backbone of 17 tokens that lie in no grid."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 1)
        self.layers = nn.ModuleList([Block()])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](self.embed(x).flatten(2)[..., :17].transpose(1, 2))
