"""Draw what a shift along time brings to a frame, as it is and aligned.

``python tools/visualization/aligned_fusion.py OUT.png`` makes scenes with digits and takes the strength of their edges
as features, which turn and move with the image. Red are those of a frame, cyan those that come from the next frame:
where they lie on each other they are white.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdas.ops.aligned_shift import FrameAlignment
from mmdas.ops.clip import clip_to_frames
from mmdas.search.das import Policy, PolicyClip, PolicyEdge
from mmdas.visualization.image_grid import new_image_grid, save_small

sys.path.insert(0, str(Path(__file__).parents[1] / 'dataset_converters'))
from digit_scenes import load_split, make_scene  # noqa: E402

SIZE = 64
FRAMES = 3
OPERATIONS = {'shift': ('translate_x', 0.1), 'turn': ('rotate', 12.0), 'scale': ('scale', 0.2)}
COLUMNS = ('frame t', 'frame t + 1', 'features of t', 'with t + 1 as it is', 'with t + 1 aligned')


def edges_of(images: Tensor) -> Tensor:
    """Strength of the edges, (N, 3, H, W) -> (N, 1, H, W) from 0 to 1."""
    grey = images.mean(dim=1, keepdim=True)
    sobel = grey.new_tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])
    slopes = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode='replicate'), torch.stack([sobel, sobel.t()])[:, None])
    strength = slopes.norm(dim=1, keepdim=True)
    return (strength / strength.amax(dim=(1, 2, 3), keepdim=True)).sqrt()


def row_of(image: Tensor, operation: str, strength: float) -> list[Tensor]:
    """The pictures of one row, (3, H, W) each; t is the frame before the image."""
    policy = Policy(FRAMES, 1, (PolicyEdge(0, 2, operation, strength),))
    clip = PolicyClip(policy).eval()
    frames = clip_to_frames(clip(image[None]), FRAMES)
    features = edges_of(frames).repeat(1, 2, 1, 1)  # both channels move: from t+1, and from t-1
    warps = clip.neighbour_warps((SIZE, SIZE), (SIZE, SIZE), slice(0, FRAMES))
    ways = (FrameAlignment(FRAMES), FrameAlignment(FRAMES, ((None, warps),)))
    own, comes = features[0, 0], [way.shift(features, 1)[0, 0] for way in ways]
    overlays = [torch.stack([own, other, other]) for other in comes]
    return [frames[0], frames[1], own.expand(3, -1, -1), *overlays]


def scenes(count: int, seed: int) -> list[Tensor]:
    """Images (3, H, W) from 0 to 1."""
    rng, digits = np.random.default_rng(seed), load_split(seed)['train']
    images = [make_scene(rng, digits, SIZE, 2)[0] for _ in range(count)]
    return [torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in images]


def main() -> None:
    """Draw a row for each operation."""
    parser = argparse.ArgumentParser(description='Draw what a shift along time brings, as it is and aligned')
    parser.add_argument('out', type=Path, help='picture to write')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    args = parser.parse_args()
    figure, grid = new_image_grid(list(OPERATIONS), COLUMNS, 1.0)
    for plots, image, step in zip(grid, scenes(len(grid), args.seed), OPERATIONS.values(), strict=True):
        for axes, picture in zip(plots, row_of(image, *step), strict=True):
            axes.imshow((255 * picture.clamp(0, 1)).byte().permute(1, 2, 0).numpy())
    save_small(figure, args.out)


if __name__ == '__main__':
    main()
