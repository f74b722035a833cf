"""Draw what ADL and DropBlock drop of the features of a trained plain model.

``python tools/misc/regularizer_figure.py CONFIG CHECKPOINT IMAGE [IMAGE ...] --site layer3 --out features.png``
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint

from mmdas.apis import host_of, load_config, preprocessor_of, require_checkpoint
from mmdas.models.features import ADL, choose_sites
from mmdas.models.features.adl import attention, kept_places
from mmdas.models.features.drop_block import draw_mask
from mmdas.visualization import draw_dropped


def parse_args(arguments: Sequence[str] | None = None) -> Namespace:
    """Read the command line."""
    parser = ArgumentParser(description='Draw what ADL and DropBlock drop')
    parser.add_argument('config', help='of a plain model')
    parser.add_argument('checkpoint', help='of its training')
    parser.add_argument('images', nargs='+', help='files of one size')
    parser.add_argument('--site', help='path within the backbone (default: the last stage)')
    parser.add_argument('--threshold', type=float, default=0.8, help='of ADL (%(default)s)')
    parser.add_argument('--rate', type=float, default=0.1, help='of DropBlock (%(default)s)')
    parser.add_argument('--block-size', type=int, default=7, help='of DropBlock (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the blocks (%(default)s)')
    parser.add_argument('--out', default='features.png', help='picture to write (%(default)s)')
    return parser.parse_args(arguments)


def read_images(paths: Sequence[str]) -> list[np.ndarray]:
    """Images (H, W, 3) as their files have them.

    Raises:
        FileNotFoundError: for a file that is no image.
        ValueError: for images of several sizes.
    """
    images = [mmcv.imread(path) if Path(path).is_file() else None for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image is None:
            raise FileNotFoundError(f'there is no image {path}')
        if image.shape != images[0].shape:
            raise ValueError(f'{path} is {image.shape[:2]}, {paths[0]} {images[0].shape[:2]}; give images of one size')
    return images


def build_model(config: str, checkpoint: str) -> Any:
    """The model of a config in evaluation mode, with its weights and its data preprocessor."""
    cfg = load_config(config)
    require_checkpoint(checkpoint)
    with DefaultScope.overwrite_default_scope(host_of(cfg).scope):
        model = MODELS.build({**cfg.model, 'data_preprocessor': preprocessor_of(cfg) or None})
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    model.eval()
    return model


@torch.no_grad()
def features_at(model: Any, images: Sequence[np.ndarray], site: str | None) -> torch.Tensor:
    """Features (B, C, h, w) of images (H, W, 3), as files have them, at a site."""
    (path,) = choose_sites(model.backbone, ADL(), [-1] if site is None else [site])
    found: list[torch.Tensor] = []
    handle = model.backbone.get_submodule(path).register_forward_hook(lambda *called: found.append(called[2]))
    try:
        inputs = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
        model.backbone(model.data_preprocessor({'inputs': inputs})['inputs'])
    finally:
        handle.remove()
    return found[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    args = parse_args(arguments)
    torch.manual_seed(args.seed)
    images = read_images(args.images)
    features = features_at(build_model(args.config, args.checkpoint), images, args.site)
    found = attention(features)
    channel = features.mean(dim=(0, 2, 3)).argmax()  # the one that is most active
    blocks = draw_mask(features, args.rate, args.block_size)
    figure = draw_dropped(
        [image[..., ::-1] for image in images],
        found,
        kept_places(found, args.threshold),
        features[:, channel : channel + 1],
        blocks[:, channel : channel + 1],
    )
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=100)
    print(f'{args.out}: {len(images)} images')


if __name__ == '__main__':
    main()
