"""Installed configs of transformers, made small, become DAS configs whose search takes a step."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from benchmarks.coverage import run_search_step
from mmdas.apis import DASOptions, check_conversion, convert, find_config, read_config
from mmdas.registry import MODELS

LAYERS = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
STAGES = dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2])
PYRAMID = [16, 32, 64, 128]
# Name: what makes the model small, and the modules of the fusion.
CONFIGS = {
    'mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k.py': (
        dict(backbone=dict(arch=LAYERS, img_size=64), head=dict(in_channels=16, hidden_dim=16, num_classes=3)),
        ['layers_0_attn', 'layers_1_attn'],
    ),
    'mmpretrain::deit/deit-tiny_4xb256_in1k.py': (
        dict(backbone=dict(arch=LAYERS, img_size=64), head=dict(in_channels=16, num_classes=3)),
        ['layers_0_attn', 'layers_1_attn'],
    ),
    'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py': (
        dict(backbone=dict(arch=STAGES, img_size=64, pad_small_map=True), head=dict(in_channels=128, num_classes=3)),
        [f'stages_{stage}_blocks_0_attn' for stage in range(4)],
    ),
    'mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py': (
        dict(
            backbone=dict(STAGES, init_cfg=None),
            decode_head=dict(in_channels=PYRAMID, channels=16),
            auxiliary_head=dict(in_channels=64, channels=16),
        ),
        [f'stages_{stage}_blocks_0_attn' for stage in range(4)],
    ),
    'mmseg::segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py': (
        dict(
            backbone=dict(embed_dims=16, num_layers=2, num_heads=2, img_size=64, init_cfg=None),
            decode_head=dict(in_channels=16, channels=16, embed_dims=16, num_layers=1, num_heads=2),
        ),
        ['layers_0_attn', 'layers_1_attn'],
    ),
    'mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py': (
        dict(
            backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
            decode_head=dict(in_channels=[8, 8, 16, 16], channels=16),
        ),
        None,  # the last convolution of each feed-forward part
    ),
}


def small(name: str) -> Config:
    cfg = read_config(find_config(name)[0])
    for place, changes in CONFIGS[name][0].items():
        cfg.model[place].update(changes)
    return cfg


@pytest.mark.parametrize(('name', 'fusion'), [*((name, 'gsf') for name in CONFIGS), (next(iter(CONFIGS)), 'tsm')])
def test_transformer_becomes_das_and_its_search_takes_a_step(name: str, fusion: str):
    search = convert(small(name), 'search', DASOptions(frames=2, fusion=fusion))
    check_conversion(search)
    assert run_search_step(search)['stage'] == 'ok'


@pytest.mark.parametrize('name', CONFIGS)
def test_fusion_is_at_the_attention_of_every_block(name: str):
    cfg, places = convert(small(name), 'repeat', DASOptions(frames=2)), CONFIGS[name][1]
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        backbone = MODELS.build(cfg.model.backbone)
    if places is None:
        assert len(backbone.fusion) == 4
        assert all('ffn' in name for name in backbone.fusion)
    else:
        assert list(backbone.fusion) == places
