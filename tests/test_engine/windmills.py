"""A task that can be solved only after a rotation, shared by the tests of the selection.

The two classes are windmills with nine blades, one turned by half a blade's distance (20 degrees) against the other.
The frozen network matches frames against the two patterns, but the labels are swapped: an image as it is looks like the
wrong class, turned by 20 degrees it looks like the right one, and no other operation of the space changes the class.
"""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModule
from mmengine.registry import DATASETS, MODELS
from toy_search import epoch_search, optimizers

BLADES = 9
STEP = 180 / BLADES
SIZE = 24


def windmill(label: int) -> np.ndarray:
    """(SIZE, SIZE) in -1..1; zero in the hub, where the blades are narrower than a pixel."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    blades = np.cos(BLADES * np.arctan2(y, x) + np.pi * label)
    return blades * (np.hypot(x, y) > 5) * (np.hypot(x, y) < 11)


@DATASETS.register_module()
class Windmills(BaseDataset):
    """Noisy windmills with swapped labels."""

    METAINFO = {'classes': ('turned', 'plain')}

    def __init__(self, seed: int = 0, **kwargs) -> None:
        self.random = np.random.RandomState(seed)
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        return [{'img': self._image(number % 2), 'gt_label': 1 - number % 2} for number in range(16)]

    def _image(self, label: int) -> np.ndarray:
        image = 128 + 60 * windmill(label)[..., None] + 10 * self.random.randn(SIZE, SIZE, 3)
        return image.astype(np.uint8)


@MODELS.register_module()
class WindmillMatcher(BaseModule):
    """Correlation of frames with the two patterns: (N, 3, H, W) -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        patterns = torch.tensor(np.stack([windmill(0), windmill(1)]), dtype=torch.float32)
        self.register_buffer('patterns', patterns / patterns.square().sum(dim=(1, 2), keepdim=True))
        self.scale = torch.nn.Parameter(torch.tensor(3.0))  # an optimiser needs something to hold

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.scale * torch.einsum('nhw,khw->nk', frames.mean(dim=1), self.patterns),)


def windmill_search(work_dir: Path, selection: dict, num_nodes: int = 1, max_epochs: int = 12) -> Config:
    """A search over the paper's space whose rotations are by exactly 20 degrees; the network stays as it is."""
    cell = dict(type='mmdas.DASCell', num_nodes=num_nodes, ranges=dict(rotate=(STEP, STEP)))
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            type='mmdas.DASClsDataPreprocessor', num_frames=3, cell=cell, mean=[128.0] * 3, std=[60.0] * 3
        ),
        backbone=dict(type='mmdas.FrameFusionBackbone', num_frames=3, backbone=dict(type='mmengine.WindmillMatcher')),
        head=dict(
            type='mmdas.TemporalPoolingClsHead', num_frames=3, head=dict(type='ClsHead', topk=(1,), cal_acc=True)
        ),
    )
    loading = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='default_collate'),
    )
    pipeline = [dict(type='PackInputs')]
    return epoch_search(
        work_dir,
        model=model,
        train_dataloader=dict(dataset=dict(type='Windmills', pipeline=pipeline), **loading),
        policy_loader=dict(dataset=dict(type='Windmills', seed=1, pipeline=pipeline), **loading),
        train_cfg=dict(selection=selection, max_epochs=max_epochs, warmup_epochs=0),
        optim_wrapper=optimizers(policy_lr=0.1, optimizer=dict(type='SGD', lr=0.0)),
        param_scheduler=dict(weights=[], policy=[]),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=100)),
    )
