"""Show what KeepAugment looks at: ``python tools/visualization/keep_augment.py CONFIG CHECKPOINT --out keep.png``.

The images are training images of the config, spread evenly over the data set. Each row shows an image, its saliency in
the network, where the centre of a region may be cut out, and a cut without and with the saliency.
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint, set_random_seed

from mmdas.apis import load_config, preprocessor_of
from mmdas.apis.augment_search import augmented_preprocessor
from mmdas.augment import Augment
from mmdas.augment.keep.sizes import RegionSizes
from mmdas.augment.keep.sources import KINDS, build_source
from mmdas.augment.keep.step import QUANTILE, content_sides
from mmdas.commands.browse import load_samples
from mmdas.ops.keep import admissible, draw_positions, importance_map, region_masks
from mmdas.visualization import clip_to_images, draw_keep


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Show what KeepAugment looks at')
    parser.add_argument('config', help='file, or name of an installed config')
    parser.add_argument('checkpoint', help='of a training by it')
    parser.add_argument('--num', type=int, default=3, help='number of images (default: %(default)s)')
    parser.add_argument('--size', type=float, default=0.5, help='share of the sides (default: %(default)s)')
    parser.add_argument('--quantile', type=float, default=QUANTILE, help='default: %(default)s')
    parser.add_argument('--saliency', choices=[kind for kind in KINDS if kind != 'early'], default='full')
    parser.add_argument('--seed', type=int, default=0, help='of crops, flips and regions (default: %(default)s)')
    parser.add_argument('--out', default='keep.png', help='picture to write (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help="settings that replace the config's")
    return parser.parse_args()


def build_model(cfg: Config, checkpoint: str, augment: Augment) -> torch.nn.Module:
    """The model of a config, whose data preprocessor has this augment alone."""
    options = {**preprocessor_of(cfg), **augmented_preprocessor(cfg, []), 'augments': [augment]}
    model = MODELS.build({**cfg.model, 'data_preprocessor': options})
    load_checkpoint(model, checkpoint, map_location='cpu')
    return model


def main() -> None:
    """Draw the picture that the command line asks for."""
    args = parse_args()
    cfg = load_config(args.config, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_random_seed(args.seed)
    seen: list[tuple] = []
    model = build_model(cfg, args.checkpoint, lambda *batch: seen.append(batch) or batch)
    model.data_preprocessor(load_samples(cfg, args.num), training=True)
    images, samples = seen[0]
    source = build_source(args.saliency)
    source.use_model(model)
    saliency = source(images, samples)
    contents = content_sides(samples, (images.shape[-2], images.shape[-1]))
    sizes = RegionSizes(args.size, 1.0, 'the picture')(contents)
    importance, inside = importance_map(saliency, sizes, contents)
    allowed = admissible(importance, inside, args.quantile, above=False)
    anywhere, kept = (region_masks(draw_positions(p), sizes, saliency.shape[-2:])[:, 0] for p in (inside, allowed))
    preprocessor = model.data_preprocessor
    pixels = {name: getattr(preprocessor, name).flatten().tolist() for name in ('mean', 'std')}
    shown = clip_to_images(images, 1, **pixels)[:, 0]
    names = [Path(sample.get('img_path') or '').stem for sample in samples]
    draw_keep(shown, saliency, allowed, tuple(sizes[0].tolist()), anywhere, kept, names).savefig(args.out, dpi=100)
    print(f'{len(names)} images: {args.out}')


if __name__ == '__main__':
    main()
