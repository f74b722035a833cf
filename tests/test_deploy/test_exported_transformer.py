"""A fused transformer of tokens is exported as a network of maps is."""

from pathlib import Path

import pytest
import torch
from deployed_models import CHAIN, SIZE, T
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from mmdas.deploy import DeployableNetwork, check_file, export_program, write_onnx
from mmdas.deploy.description import describe
from mmdas.deploy.graph import PACKAGES
from mmdas.registry import MODELS

K = 4
LAYERS = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
VIT = dict(type='VisionTransformer', arch=LAYERS, img_size=SIZE, patch_size=8)  # a class token and 3 x 4 patches
HEAD = dict(type='VisionTransformerClsHead', num_classes=K, in_channels=16)


def transformer() -> nn.Module:
    """A classifier of two blocks, with TSM at their attention."""
    pixels = dict(mean=[120.0] * 3, std=[60.0] * 3, num_classes=K)
    cfg = dict(
        type='ImageClassifier',
        data_preprocessor=dict(type='mmdas.DASClsDataPreprocessor', num_frames=T, policy=CHAIN, **pixels),
        backbone=dict(
            type='mmdas.FrameFusionBackbone', num_frames=T, fusion=dict(type='mmdas.TemporalShift'), backbone=VIT
        ),
        head=dict(type='mmdas.TemporalPoolingClsHead', num_frames=T, head=HEAD),
    )
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(ConfigDict(cfg)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.slow
@torch.no_grad()
def test_recorded_transformer_gives_what_the_model_gives():
    model = transformer()
    network = DeployableNetwork(model, 'rgb')
    recorded = export_program(network, SIZE).module()
    for count in (1, 3):
        images = torch.randint(256, (count, 3, *SIZE)).float()
        expected = model(model.data_preprocessor({'inputs': images})['inputs'], mode='tensor')
        torch.testing.assert_close(recorded(images), network(images), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network(images), expected[-1] if isinstance(expected, tuple) else expected)
    alone = network(images.roll(1, -1)) - network(images)
    assert alone.abs().max() > 0.01  # the scores depend on the image


@pytest.mark.slow
def test_onnx_gives_what_the_transformer_gives(tmp_path: Path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} of the extra `export` is not installed')
    network = DeployableNetwork(transformer(), 'rgb')
    write_onnx(export_program(network, SIZE), describe(network, SIZE), tmp_path / 'model.onnx')
    assert check_file(network, tmp_path / 'model.onnx', [SIZE]) < 1e-4
