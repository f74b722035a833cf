"""A task that views solve: what tells the class lies at either side of an image, and the network sees the left one.

Shared by the tests of the search of views. The networks are as they are, nothing is trained.
"""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import save_checkpoint
from torch import Tensor, nn

SIZE = 16
SCOPES = ('mmseg', 'mmpretrain')


@DATASETS.register_module()
class Sides(BaseDataset):
    """Noise with a bright block at the left or right, red for class 0 and green for class 1."""

    METAINFO = {'classes': ('red', 'green'), 'palette': [[255, 0, 0], [0, 255, 0]]}

    def __init__(self, count: int = 80, seed: int = 0, unlabelled: bool = False, **kwargs) -> None:
        self.count, self.seed, self.unlabelled = count, seed, unlabelled
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        return [self._sample(number, np.random.RandomState(1000 * self.seed + number)) for number in range(self.count)]

    def _sample(self, number: int, random: np.random.RandomState) -> dict:
        label, side = random.randint(2), number % 2 * SIZE // 2
        image = random.randint(0, 100, (SIZE, SIZE, 3)).astype(np.uint8)
        image[:, side : side + SIZE // 2, label] += 120
        labels = np.full((SIZE, SIZE), 255, np.uint8)
        labels[:, side : side + SIZE // 2] = label
        sample = {'img': image, 'img_path': 'x.png', 'img_shape': (SIZE, SIZE), 'ori_shape': (SIZE, SIZE)}
        if self.unlabelled:
            return {**sample, 'seg_fields': []}
        return {
            **sample,
            'gt_label': label,
            'gt_seg_map': labels,
            'seg_map_path': 'x.png',
            'seg_fields': ['gt_seg_map'],
        }


@MODELS.register_module()
class LeftHalf(nn.Module):
    """Features (N, 2, H, W): red and green, nothing of them at the right."""

    def __init__(self, strength: float = 3.0) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(strength))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        left = torch.zeros_like(images)
        left[..., : images.shape[-1] // 2] = 1
        return (self.strength * (images * left)[:, :2],)


@MODELS.register_module()
class BrightestColour(nn.Module):
    """A head of MMPretrain's: the mean of the features tells the class."""

    def __new__(cls, **options):
        from mmpretrain.models import ClsHead

        class Head(ClsHead):
            def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
                return feats[-1]

            def forward(self, feats: tuple[Tensor]) -> Tensor:
                return 4 * feats[-1].mean(dim=(-2, -1))

        return Head(**options)


def model_config(scope: str) -> dict:
    pixels = dict(mean=[50.0] * 3, std=[60.0] * 3)
    backbone = dict(type='mmengine.LeftHalf')
    if scope == 'mmpretrain':
        preprocessor = dict(type='ClsDataPreprocessor', **pixels, to_rgb=False)
        head = dict(type='mmengine.BrightestColour')
        return dict(type='ImageClassifier', data_preprocessor=preprocessor, backbone=backbone, head=head)
    head = dict(type='FCNHead', in_channels=2, channels=2, num_convs=0, concat_input=False, num_classes=2)
    head.update(in_index=0, dropout_ratio=0.0)
    preprocessor = dict(type='SegDataPreProcessor', **pixels)
    return dict(
        type='EncoderDecoder',
        data_preprocessor=preprocessor,
        backbone=backbone,
        decode_head=head,
        test_cfg=dict(mode='whole'),
    )


def loader(scope: str, **dataset) -> dict:
    pack = dict(type='PackSegInputs' if scope == 'mmseg' else 'PackInputs')
    dataset = dict(type='mmengine.Sides', pipeline=[pack], **dataset)
    collate = {} if scope == 'mmseg' else {'collate_fn': dict(type='default_collate')}
    sampler = dict(type='DefaultSampler', shuffle=False)
    return dict(batch_size=4, num_workers=0, sampler=sampler, dataset=dataset, **collate)


def make_config(scope: str, folder: Path, **options) -> Config:
    """A config whose training, validation and test have different images."""
    metric = dict(type='IoUMetric', iou_metrics=['mIoU']) if scope == 'mmseg' else dict(type='Accuracy', topk=(1,))
    cfg = dict(
        default_scope=scope,
        model=model_config(scope),
        train_dataloader=loader(scope, seed=0),
        val_dataloader=loader(scope, seed=1),
        test_dataloader=loader(scope, seed=2),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=1),
        val_cfg=dict(type='ValLoop'),
        test_cfg=dict(type='TestLoop'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        val_evaluator=metric,
        test_evaluator=metric,
        work_dir=str(folder / 'run'),
        experiment_name=f'sides-{scope}-{folder.name}',
        log_level='WARNING',
    )
    if scope == 'mmseg':
        cfg['visualizer'] = dict(type='SegLocalVisualizer', name=f'sides-{folder.name}')
    return Config({**cfg, **options})


def save_weights(scope: str, folder: Path) -> str:
    """A checkpoint of the network, whose head says of each channel what it is."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(model_config(scope))
    if scope == 'mmseg':
        nn.init.zeros_(model.decode_head.conv_seg.bias)
        model.decode_head.conv_seg.weight.data = torch.eye(2).view(2, 2, 1, 1)
    meta = {'dataset_meta': {'classes': Sides.METAINFO['classes'], 'palette': Sides.METAINFO['palette']}}
    path = str(folder / f'{scope}.pth')
    save_checkpoint({'state_dict': model.state_dict(), 'meta': meta}, path)
    return path
