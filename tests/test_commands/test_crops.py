"""Crops, sizes and mirror images at test time through the toolbox's averaging, against averages by hand."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import MODELS, TRANSFORMS
from PIL import Image
from torchvision.transforms.functional import five_crop, ten_crop

from mmdas.augment import PlaceCrop
from mmdas.commands.crops import crop_pipeline
from mmdas.commands.test import enable_tta, read

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')
STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=40, edge='short'),
    dict(type='CenterCrop', crop_size=32),
    dict(type='PackInputs'),
]
BACKBONE = dict(type='ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8, zero_init_residual=False)
MODEL = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='ClsDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3),
    backbone=BACKBONE,
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=64),
)


def config(pipeline: list[dict], scope: str = 'mmpretrain', **more) -> Config:
    loader = dict(batch_size=1, dataset=dict(type='CustomDataset', pipeline=pipeline))
    return Config(dict(default_scope=scope, model=MODEL, test_dataloader=loader, **more))


@pytest.fixture
def file(tmp_path: Path) -> str:
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    image = Image.fromarray(colours).resize((52, 40), Image.Resampling.BICUBIC)
    image.save(tmp_path / 'x.png')
    return str(tmp_path / 'x.png')


def predict(cfg: Config, file: str) -> torch.Tensor:
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    sample = {'img_path': file, 'gt_label': 1}
    for step in cfg.test_dataloader.dataset.pipeline:
        sample = TRANSFORMS.build(step)(sample)
    with torch.no_grad():
        (found,) = model.test_step(default_collate([sample]))
    return found.pred_score


def by_hand(images: list[np.ndarray]) -> torch.Tensor:
    torch.manual_seed(0)
    model = MODELS.build(MODEL).eval()
    scores = []
    for image in images:
        pixels = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() - 120) / 60
        with torch.no_grad():
            scores.append(model(pixels, mode='tensor').softmax(1)[0])
    return torch.stack(scores).mean(0)


def bgr(file: str) -> Image.Image:
    return Image.fromarray(np.asarray(Image.open(file))[..., ::-1].copy())


@pytest.mark.parametrize(('crops', 'cut'), [(5, five_crop), (10, ten_crop)])
def test_crops_are_those_of_torchvision_and_their_scores_are_averaged(crops: int, cut, file: str):
    cfg = config(STEPS)
    enable_tta(cfg, crops)
    expected = by_hand([np.asarray(image) for image in cut(bgr(file), 32)])
    torch.testing.assert_close(predict(cfg, file), expected)
    assert float((expected - by_hand([np.asarray(bgr(file).crop((10, 4, 42, 36)))])).abs().max()) > 1e-4


def test_sizes_and_mirror_images_go_as_a_pipeline_of_the_config(file: str):
    sizes = [dict(type='Resize', scale=(side, side)) for side in (24, 32, 48)]
    flips = [dict(type='RandomFlip', prob=probability) for probability in (0.0, 1.0)]
    steps = [STEPS[0], dict(type='TestTimeAug', transforms=[sizes, flips, [dict(type='PackInputs')]])]
    cfg = config(STEPS, tta_pipeline=steps)
    enable_tta(cfg)
    images = []
    for size in sizes:
        image = TRANSFORMS.build(size)({'img': np.asarray(bgr(file))})['img']
        images += [image, image[:, ::-1]]
    torch.testing.assert_close(predict(cfg, file), by_hand(images))


def test_centre_is_that_of_the_test_pipeline(file: str):
    for size in (31, 32, (33, 27)):
        crop = TRANSFORMS.build(dict(type='CenterCrop', crop_size=size))({'img': np.asarray(bgr(file))})['img']
        sides = size if isinstance(size, int) else size[::-1]
        found = PlaceCrop(sides, 'centre')({'img': np.asarray(bgr(file))})
        np.testing.assert_array_equal(found['img'], crop)
        assert found['img_shape'] == crop.shape[:2]


def test_unusable_crops_are_told():
    with pytest.raises(ValueError, match='has LoadImageFromFile, PackInputs'):
        crop_pipeline([STEPS[0], STEPS[-1]], 10)
    with pytest.raises(ValueError, match='--crops 5 is for classification'):
        enable_tta(config(STEPS, 'mmseg'), 5)
    with pytest.raises(ValueError, match='place is'):
        PlaceCrop(8, 'middle')
    with pytest.raises(ValueError, match='crop_size is'):
        PlaceCrop((8, 0), 'centre')
    with pytest.raises(ValueError, match='7 x 9 pixels is smaller than the crop of 8 x 8'):
        PlaceCrop(8, 'centre')({'img': np.zeros((7, 9, 3))})


def test_two_kinds_of_augmentation_are_refused(tmp_path: Path):
    torch.save({'state_dict': {}}, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='leave out --tta'):
        read(Namespace(das=None, checkpoint=str(tmp_path / 'x.pth'), policy=None, tta=True, crops=10))
