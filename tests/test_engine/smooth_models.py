"""Smooth models of both toolboxes in double precision, whose batches a search augments."""

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn

CLASSES, SIZE = 3, 12
NORMALISE = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 61.0, 62.0])


@MODELS.register_module()
class DoubleMaps(nn.Module):
    """A smooth backbone in double precision, with a norm, whose maps have the size of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, CLASSES, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.second(self.norm(self.first(images.double())).tanh()),)


def classifier(search: dict) -> BaseModel:
    """A classifier whose data preprocessor has a search of an augmentation."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return ImageClassifier(
            backbone=dict(type='DoubleMaps'),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=CLASSES),
            data_preprocessor=preprocessor('mmdas.DASClsDataPreprocessor', search),
        )


def segmentor(search: dict) -> BaseModel:
    """A segmentor whose data preprocessor has a search of an augmentation."""
    head = dict(
        type='FCNHead', in_channels=CLASSES, channels=CLASSES, num_convs=0, concat_input=False, num_classes=CLASSES
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        return EncoderDecoder(
            backbone=dict(type='DoubleMaps'),
            decode_head={**head, 'dropout_ratio': 0},
            data_preprocessor=preprocessor('mmdas.DASSegDataPreProcessor', search, size=(SIZE, SIZE), seg_pad_val=255),
        )


def preprocessor(kind: str, search: dict, **options) -> dict:
    augments = [dict(type='mmdas.SearchedAugment', search=search)]
    return dict(type=kind, num_frames=1, channel_order='rgb', augments=augments, **NORMALISE, **options)


def batch(model: BaseModel, seed: int, count: int = 4) -> dict:
    """Images and labels of noise."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (count, 1, SIZE, SIZE), generator=generator)
    if isinstance(model, ImageClassifier):
        samples = [DataSample().set_gt_label(labels[place, 0, 0, :1]) for place in range(count)]
    else:
        samples = [SegDataSample(gt_sem_seg=PixelData(data=labels[place])) for place in range(count)]
    return {'inputs': list(images), 'data_samples': samples}


def loss_of(model: BaseModel, data: dict) -> Tensor:
    """The loss of a batch as the search sees it at present."""
    return model.parse_losses(model(**model.data_preprocessor(data, True), mode='loss'))[0]
