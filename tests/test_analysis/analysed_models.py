"""Small models of both toolboxes, plain and of DAS, with batches of noise."""

import copy

import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from torch import nn

from mmdas.registry import MODELS
from mmdas.search.das import Policy

B, T, K, SIZE = 3, 2, 4, 24
SHAPE = dict(depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), base_channels=8, stem_channels=8)
CLS_BACKBONE = dict(type='ResNet_CIFAR', out_indices=(1,), zero_init_residual=False, **SHAPE)
SEG_BACKBONE = dict(type='ResNet', out_indices=(0, 1), zero_init_residual=False, **SHAPE)
CLS_HEAD = dict(type='LinearClsHead', num_classes=K, in_channels=16)
SEG_HEAD = dict(type='FCNHead', in_channels=16, in_index=1, channels=8, num_convs=1, num_classes=K)
PIXELS = dict(mean=[120.0] * 3, std=[60.0] * 3)
FRAMES = dict(num_frames=T)


def policy(*space: str) -> dict:
    return Policy.random(T, space=list(space), reference_size=(SIZE, SIZE)).to_dict()


def classifier(das: dict | str | None = None, open_head: bool = False) -> dict:
    """Plain, or of DAS with a policy; 'repeat' for equal frames."""
    model = dict(type='ImageClassifier', backbone=CLS_BACKBONE, neck=dict(type='GlobalAveragePooling'), head=CLS_HEAD)
    model['data_preprocessor'] = dict(type='ClsDataPreprocessor', num_classes=K, **PIXELS)
    if das is not None:
        clip = {} if das == 'repeat' else {'policy': das}
        model['data_preprocessor'].update(type='mmdas.DASClsDataPreprocessor', **FRAMES, **clip)
        model['backbone'] = dict(type='mmdas.FrameFusionBackbone', backbone=CLS_BACKBONE, **FRAMES)
        frames = {} if open_head else FRAMES
        model['head'] = dict(type='mmdas.TemporalPoolingClsHead', head=CLS_HEAD, **frames)
    return model


def segmentor(das: dict | None = None, **test_cfg) -> dict:
    model = dict(type='EncoderDecoder', backbone=SEG_BACKBONE, decode_head=SEG_HEAD, train_cfg={})
    model['test_cfg'] = dict(mode='whole', **test_cfg)
    model['data_preprocessor'] = dict(type='SegDataPreProcessor', test_cfg=dict(size_divisor=16), **PIXELS)
    if das is not None:
        model['type'] = 'mmdas.DASEncoderDecoder'
        model['data_preprocessor'].update(type='mmdas.DASSegDataPreProcessor', policy=das, **FRAMES)
        model['backbone'] = dict(type='mmdas.FrameFusionBackbone', backbone=SEG_BACKBONE, **FRAMES)
        model['decode_head'] = dict(type='mmdas.TemporalPoolingHead', head=SEG_HEAD, **FRAMES)
    return model


def build(config: dict) -> nn.Module:
    """With random weights, in training mode as a training leaves it."""
    torch.manual_seed(0)
    scope = 'mmseg' if 'decode_head' in config else 'mmpretrain'
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(ConfigDict(copy.deepcopy(config)))
    for name, parameter in model.named_parameters():
        if name.endswith(('fc.weight', 'conv_seg.weight')):
            nn.init.normal_(parameter)  # classes that differ
    return model.train()


def batch(config: dict, size: tuple[int, int] = (SIZE, SIZE), count: int = B) -> dict:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)
    if 'decode_head' not in config:
        from mmpretrain.structures import DataSample

        return dict(inputs=inputs, data_samples=[DataSample().set_gt_label(0) for _ in inputs])
    from mmseg.structures import SegDataSample

    samples = []
    for image in inputs:
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, *size, dtype=torch.long)))
        sample.set_metainfo(dict(img_shape=size, ori_shape=size, pad_shape=tuple(image.shape[1:])))
        samples.append(sample)
    return dict(inputs=list(inputs), data_samples=samples)
