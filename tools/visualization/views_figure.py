"""Draw the views of scenes with digits, the mean of their predictions, and the label that is made of it.

``python tools/visualization/views_figure.py OUT.png`` takes the plain network of the zoo, and scenes that it has
not seen.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from mmdas.apis import load_config
from mmdas.search.test_time import View, ViewPolicy, predict_views
from mmdas.search.test_time.search import look
from mmdas.visualization.image_grid import new_image_grid, save_small

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parents[1] / 'dataset_converters'))
from digit_scenes import load_split, make_scene  # noqa: E402

CONFIG = ROOT / 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py'
CHECKPOINT = ROOT / 'zoo/fcn_r18-d4_digits-48x48-1ead8a8b.pth'
SIZE = 48
VIEWS = {
    'image': View(),
    '1.5 times': View(size=1.5),
    'shift': View('translate_x', 1 / 16),
    'turn': View('rotate', 8.0),
}


def load_model() -> nn.Module:
    """The plain network of the zoo."""
    cfg = load_config(CONFIG)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    load_checkpoint(model, str(CHECKPOINT), map_location='cpu')
    return model.eval()


def make_scenes(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) in bytes, and labels (N, H, W)."""
    rng = np.random.default_rng(seed)
    digits = load_split(0)['val']
    made = [make_scene(rng, digits, SIZE, 2) for _ in range(rows)]
    images, labels = (torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True))
    return images.permute(0, 3, 1, 2), labels


@torch.no_grad()
def columns_of(images: Tensor, labels: Tensor, confidence: float) -> dict[str, Tensor]:
    """Name of a column -> images (N, 3, H, W) or labels (N, H, W), -1 where none is kept."""
    model = load_model()
    inputs = model.data_preprocessor(dict(inputs=list(images)), False)['inputs']

    def predict(batch: Tensor) -> Tensor:
        return model.encode_decode(batch, [dict(ori_shape=batch.shape[-2:], img_shape=batch.shape[-2:])])

    columns = {'image': images, 'truth': labels}
    for name, view in VIEWS.items():
        columns[f'by the {name}' if name == 'image' else name] = look(predict, inputs, view)[0].argmax(1)
    policy = ViewPolicy(tuple(VIEWS.values()), (1 / len(VIEWS),) * len(VIEWS))
    score, found = predict_views(predict, inputs, policy).max(1)
    columns['mean'] = found
    columns[f'label, from {confidence:g}'] = torch.where(score >= confidence, found, -1)
    return columns


def draw(columns: dict[str, Tensor], path: Path) -> None:
    """Write the picture."""
    figure, grid = new_image_grid([''] * len(columns['image']), list(columns), 1.0)
    for plots, content in zip(grid.T, columns.values(), strict=True):
        for axes, shown in zip(plots, content, strict=True):
            if shown.ndim == 3:
                axes.imshow(shown.permute(1, 2, 0).numpy())
            else:
                axes.imshow(np.ma.masked_less(shown.numpy(), 0), cmap='tab20', vmin=0, vmax=19, interpolation='nearest')
                axes.set_facecolor('black')
    save_small(figure, path)


def main() -> None:
    """Make scenes, look at them and draw."""
    parser = argparse.ArgumentParser(description='Draw views of scenes, the mean of their predictions, and its label')
    parser.add_argument('out', type=Path, help='picture to write')
    parser.add_argument('--rows', type=int, default=3, help='scenes (default: %(default)s)')
    parser.add_argument('--confidence', type=float, default=0.8, help='of a label (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the scenes (default: %(default)s)')
    args = parser.parse_args()
    draw(columns_of(*make_scenes(args.rows, args.seed), args.confidence), args.out)


if __name__ == '__main__':
    main()
