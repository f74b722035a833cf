"""Draw what the mixing augments make of scenes with digits: ``python tools/visualization/mixing_figure.py OUT.png``.

A small classifier first learns the digit of scenes that are made for it, so that Puzzle Mix has its gradients.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.structures import DataSample
from torch import Tensor

from mmdas.augment import HideAndSeek, Mixup, PuzzleMix
from mmdas.augment.cut_mix import Cuts, draw_cuts
from mmdas.augment.puzzle import enlarged
from mmdas.visualization.image_grid import new_image_grid, save_small

sys.path.insert(0, str(Path(__file__).parents[1] / 'dataset_converters'))
from digit_scenes import load_split, make_scene  # noqa: E402

SIZE = 64
ROWS = 4
SHOWN = 8  # images of the batch that the rows are taken from
MODEL = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='mmdas.DASClsDataPreprocessor', mean=[100.0] * 3, std=[60.0] * 3, num_classes=10),
    backbone=dict(
        type='ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16, num_stages=3, strides=(2, 2, 2),
        dilations=(1, 1, 1), out_indices=(2,),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=64),
)  # fmt: skip


def make_batch(rng: np.random.Generator, count: int) -> dict[str, list]:
    """Scenes of one digit, as a data loader gives them; a scene whose digit hardly shows is left out."""
    digits, inputs, samples = load_split(0)['train'], [], []
    while len(inputs) < count:
        image, label = make_scene(rng, digits, SIZE, 1)
        if (label > 0).sum() > 150:
            inputs.append(torch.from_numpy(image).permute(2, 0, 1))
            samples.append(DataSample().set_gt_label(int(label.max()) - 1))
    return dict(inputs=inputs, data_samples=samples)


def learn(steps: int, rng: np.random.Generator) -> Any:
    """A classifier after some steps of a training."""
    MMLogger.get_current_instance().setLevel('WARNING')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model: Any = MODELS.build(MODEL)
        model.init_weights()
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=3e-3))
    model.train()
    for _ in range(steps):
        model.train_step(make_batch(rng, 32), wrapper)
    return model


def columns_of(model: Any, images: Tensor, samples: list, seed: int) -> dict[str, list]:
    """Name of a column -> its images (3, H, W) or maps (H, W), a row each, with what stands below."""
    torch.manual_seed(seed)
    puzzle = PuzzleMix(alpha=4.0, blocks=(8,))
    puzzle.use_model(model)
    masks, partners, saliency = puzzle.masks(images, samples, puzzle.levels)
    torch.manual_seed(seed)
    mixed, _, shares = puzzle.mix(images, samples)
    columns = {
        'image': list(images),
        'saliency': list(saliency.sqrt()),
        'partner': list(images[partners]),
        'Puzzle Mix, mask': list(enlarged(masks, (SIZE, SIZE))[:, 0]),
        'Puzzle Mix': with_shares(mixed, shares),
    }
    kept = Mixup(alpha=4.0).draw_shares(len(images))
    columns['Mixup'] = with_shares(torch.lerp(images[partners], images, kept.view(-1, 1, 1, 1)), kept)
    drawn = draw_cuts([(SIZE, SIZE)] * len(images), (SIZE, SIZE), 1.0, 2.0)
    cuts = Cuts(partners, drawn.boxes)  # the same partners in all columns
    columns['CutMix'] = with_shares(cuts(images), 1 - cuts.boxes.float().mean((1, 2, 3)))
    columns['Hide-and-Seek'] = list(HideAndSeek(shares=(1 / 8, 1 / 4))(images, samples)[0])
    return columns


def with_shares(images: Tensor, shares: Tensor) -> list[tuple[Tensor, float]]:
    """Images with the shares that they keep of themselves."""
    return list(zip(images, shares.tolist(), strict=True))


def draw(columns: dict[str, list], data_preprocessor: Any, path: Path) -> None:
    """Write the picture."""
    names = ['image', 'saliency', 'partner', 'Mixup', 'CutMix', 'Hide-and-Seek', 'Puzzle Mix, mask', 'Puzzle Mix']
    figure, grid = new_image_grid([''] * ROWS, names, 1.0)
    for row, plots in enumerate(grid):
        for axes, name in zip(plots, names, strict=True):
            found = columns[name][row]
            content, share = found if isinstance(found, tuple) else (found, None)
            if content.ndim == 2:
                axes.imshow(content.numpy(), cmap='gray' if 'mask' in name else 'magma', vmin=0)
            else:
                pixels = content * data_preprocessor.std + data_preprocessor.mean
                axes.imshow(pixels.clamp(0, 255).byte().permute(1, 2, 0).numpy())
            if share is not None:
                axes.text(2, SIZE - 3, f'{share:.2f}', color='white', backgroundcolor='black', fontsize=7)
    save_small(figure, path)


def main() -> None:
    """Learn, mix and draw."""
    parser = argparse.ArgumentParser(description='Draw what the mixing augments make of scenes with digits')
    parser.add_argument('out', type=Path, help='picture to write')
    parser.add_argument('--steps', type=int, default=250, help='of the training (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    model = learn(args.steps, rng)
    data = model.data_preprocessor(make_batch(np.random.default_rng(args.seed + 1), SHOWN), False)
    columns = columns_of(model, data['inputs'], data['data_samples'], args.seed)
    draw(columns, model.data_preprocessor, args.out)


if __name__ == '__main__':
    main()
