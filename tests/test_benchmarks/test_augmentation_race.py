"""The contestants of the race of augmentations do about the same."""

import numpy as np
import pytest
import torch

from benchmarks.races import s2_augmentations as race

SIDE = 64


def smooth_batch() -> tuple[torch.Tensor, torch.Tensor]:
    _, labels = race.make_batch(SIDE, 2)
    y, x = torch.meshgrid(torch.linspace(0, 6, SIDE), torch.linspace(0, 6, SIDE), indexing='ij')
    waves = torch.stack([torch.sin(x + y), torch.cos(x - y), torch.sin(0.7 * y)]) * 0.4 + 0.5
    images = torch.stack([waves, waves.flip(-1)])
    return (images * 255).round() / 255, labels.repeat_interleave(1, 0)


@pytest.mark.parametrize('name', race.OPERATIONS)
def test_mmpretrain_does_the_same_to_images_and_labels(name):
    images, labels = smooth_batch()
    changed, moved = race.by_mmdas(name, images, labels)()
    theirs = race.by_mmpretrain(name, images, labels)()
    pictures = torch.stack([torch.from_numpy(np.array(picture[..., ::-1])) for picture, _ in theirs]).movedim(-1, 1)
    maps = torch.stack([torch.from_numpy(label.copy()) for _, label in theirs])[:, None]
    if name.startswith('shear'):  # about the corner
        axis = -1 if name == 'shear_x' else -2
        by = round(race.SLOPE * SIDE / 2)
        pictures, maps = pictures.roll(by, axis), maps.roll(by, axis)
    inner = (..., slice(16, -16), slice(16, -16))
    apart = (changed * 255 - pictures.float()).abs()[inner]
    assert apart.mean() < (8 if name.startswith('shear') else 2)  # 0.4 of a pixel of shift
    assert (moved == maps)[inner].float().mean() > (0.5 if name.startswith('shear') else 0.95)


@pytest.mark.parametrize('name', race.OPERATIONS)
def test_kornia_moves_images_and_labels(name):
    pytest.importorskip('kornia')
    if name not in race.kornia_modules():
        pytest.skip('kornia does something else')
    images, labels = smooth_batch()
    changed, moved = race.by_mmdas(name, images, labels)()
    theirs, masks = race.by_kornia(name, images, labels)()
    inner = (..., slice(16, -16), slice(16, -16))
    assert theirs.shape == changed.shape and masks.shape == moved.shape
    if name not in ('contrast', 'saturation', 'brightness', 'sharpness'):  # its own scales
        assert (changed - theirs)[inner].abs().mean() < 0.02
        assert (moved == masks)[inner].float().mean() > 0.9
