"""Show what an export holds: ``python tools/visualization/exported_model.py CONFIG CHECKPOINT IMAGE ... --out FILE``.

The model is exported by ``torch.export``, and the file predicts beside the model it was made of.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.fileio import get

from mmdas.apis import load_config
from mmdas.apis.export import ExportOptions, export_model
from mmdas.deploy import DeployableNetwork, ExportedModel
from mmdas.deploy.network import to_labels
from mmdas.visualization import clip_to_images
from mmdas.visualization.export_figure import draw_exported


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Show what an export holds')
    parser.add_argument('config', help='of a segmentation; file, or name of an installed config')
    parser.add_argument('checkpoint', help='of a training by it')
    parser.add_argument('images', nargs='+', help='files of one size')
    parser.add_argument('--out', default='exported.png', help='picture to write (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help="settings that replace the config's")
    return parser.parse_args()


def read_pixels(paths: list[str]) -> np.ndarray:
    """RGB images (B, H, W, 3), uint8."""
    from mmcv import imfrombytes

    return np.stack([imfrombytes(get(path), channel_order='rgb') for path in paths])


@torch.no_grad()
def frames_of(network: DeployableNetwork, pixels: torch.Tensor) -> np.ndarray:
    """The clips (B, T, H, W, 3) that a network makes of pixels, as pictures."""
    preprocessor = network.preprocessor
    clip = preprocessor.to_clip(network.normalise(pixels))
    mean, std = network.mean.flatten().tolist(), network.std.flatten().tolist()
    pictures = clip_to_images(clip, preprocessor.num_frames, mean, std)
    return pictures if network.channel_order == 'rgb' else pictures[..., ::-1]


def main() -> None:
    """Draw the picture that the command line asks for."""
    args = parse_args()
    images = read_pixels(args.images)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    with tempfile.TemporaryDirectory() as folder:
        options = ExportOptions(f'{folder}/model.pt2', images.shape[1:3])
        done = export_model(load_config(args.config, cfg_options=args.cfg_options), args.checkpoint, options)
        found = torch.from_numpy(ExportedModel(options.out)(pixels.numpy()))
    with torch.no_grad():
        expected = done.network(pixels)
    clips = frames_of(done.network, pixels)
    names = [Path(path).stem for path in args.images]
    figure = draw_exported(images, clips, to_labels(expected).numpy(), to_labels(found).numpy(), names)
    figure.savefig(args.out, dpi=60)
    print(f'{args.out}: file and model differ by {done.difference:.1g}')


if __name__ == '__main__':
    main()
