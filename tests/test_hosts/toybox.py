"""A toolbox of one file: a model that finds dots, its data, and what DAS is told of it."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from mmdas.hosts import Host
from mmdas.models.heads.frame_pooled_head import FramePooledHead

MODELS = Registry('model', scope='toybox', parent=MMENGINE_MODELS)
DATASETS = Registry('dataset', scope='toybox', parent=MMENGINE_DATASETS)
SIZE = (8, 8)


@MODELS.register_module()
class TinyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, images):
        return (self.second(self.first(images).relu()).relu(),)


@MODELS.register_module()
class DotHead(nn.Module):
    num_classes, ignore_index = 2, 255

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, self.num_classes, 1)

    def forward(self, features):
        return self.conv(features[0])

    def loss(self, features, samples):
        labels = torch.cat([sample.gt_dots.data for sample in samples])
        return {'loss_dots': F.cross_entropy(self.forward(features), labels, ignore_index=self.ignore_index)}


@MODELS.register_module()
class PooledDotHead(FramePooledHead):
    @classmethod
    def find_channels(cls, host, config, pooling):
        return host.num_classes


@MODELS.register_module()
class DotFinder(BaseModel):
    def __init__(self, backbone, dot_head, data_preprocessor=None) -> None:
        super().__init__(data_preprocessor)
        self.backbone, self.dot_head = MODELS.build(backbone), MODELS.build(dot_head)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.dot_head.loss(self.backbone(inputs), data_samples)


@DATASETS.register_module()
class Dots(torch.utils.data.Dataset):
    metainfo = dict(classes=('ground', 'dot'))

    def __init__(self, label: int = 1) -> None:
        self.label = label

    def __len__(self):
        return 4

    def __getitem__(self, index):
        labels = torch.zeros(1, *SIZE, dtype=torch.long)
        labels[:, index, index] = self.label
        sample = BaseDataElement(metainfo=dict(img_path=f'{index}.png'), gt_dots=PixelData(data=labels))
        return dict(inputs=(labels * 255).byte().expand(3, *SIZE), data_samples=sample)


HOST = Host(
    scope='toybox',
    models={'DotFinder': ''},
    preprocessor='SegDataPreProcessor',
    clip_preprocessor='mmdas.DASSegDataPreProcessor',
    heads=('dot_head',),
    pooled_head='toybox.PooledDotHead',
    label='gt_dots',
    label_maps=True,
)
