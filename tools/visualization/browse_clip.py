"""Save the clips of some training images: ``python tools/visualization/browse_clip.py CONFIG``.

The images are those that the training pipeline gives, spread evenly over the data set. A search config shows the
mixtures at the start of the search; with ``--policy``, any config shows the clips of that policy.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import set_random_seed

from mmdas.apis import load_config, preprocessor_of
from mmdas.apis.clip_config import set_channel_order
from mmdas.registry import type_name
from mmdas.search.das import Policy
from mmdas.visualization import clip_to_images, draw_clips

# scope -> the host's data preprocessor, and its equal with the step from image to clip
PREPROCESSORS = {
    'mmseg': ('SegDataPreProcessor', 'mmdas.DASSegDataPreProcessor'),
    'mmpretrain': ('ClsDataPreprocessor', 'mmdas.DASClsDataPreprocessor'),
}


def parse_args(arguments: Sequence[str] | None = None) -> Namespace:
    parser = ArgumentParser(description='Save the clips of some training images of a config')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--policy', help='file of a policy to apply in place of what the config says')
    parser.add_argument('--num', type=int, default=4, help='number of images (default: %(default)s)')
    parser.add_argument('--out', default='clip.png', help='picture to write (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help="settings that replace the config's")
    args = parser.parse_args(arguments)
    if args.num < 1:
        parser.error(f'--num must be at least 1, got {args.num}')
    return args


def build_preprocessor(cfg: Config, policy: str | None) -> BaseDataPreprocessor:
    """Data preprocessor of a config, with ``policy`` in place of its cell or policy where one is given.

    Raises:
        ValueError: for a config of another toolbox.
    """
    scope = cfg.get('default_scope')
    if scope not in PREPROCESSORS:
        raise ValueError(f'default_scope of the config is {scope!r}, expected one of {sorted(PREPROCESSORS)}')
    plain, das = PREPROCESSORS[scope]
    options = dict(preprocessor_of(cfg))
    if type_name(options) in ('', plain):
        options['type'] = das
    if policy is not None:
        options.update(cell=None, policy=policy, num_frames=Policy.load(policy).num_frames)
    if type_name(options) == 'DASClsDataPreprocessor':
        set_channel_order(cfg, options)
    return MODELS.build(options)


def load_samples(cfg: Config, num: int) -> dict:
    """Batch of at most ``num`` training samples, as the pipeline gives them."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    indices = np.linspace(0, len(dataset) - 1, min(num, len(dataset))).astype(int).tolist()
    return pseudo_collate([dataset[index] for index in indices])


@torch.no_grad()
def make_clips(preprocessor: BaseDataPreprocessor, batch: dict) -> np.ndarray:
    """Clips (B, T, H, W, 3), uint8, of a batch."""
    clips = preprocessor(batch, training=True)['inputs']  # training: images of different sizes are padded
    present = [name for name in ('mean', 'std') if hasattr(preprocessor, name)]
    normalisation = {name: getattr(preprocessor, name).flatten().tolist() for name in present}
    return clip_to_images(clips, preprocessor.num_frames, **normalisation)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    cfg = load_config(args.config, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)  # of crops and flips: the same picture every time
    preprocessor = build_preprocessor(cfg, args.policy)
    batch = load_samples(cfg, args.num)
    titles = [Path(sample.get('img_path') or '').stem for sample in batch['data_samples']]
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_clips(make_clips(preprocessor, batch), titles).savefig(out, dpi=150)
    print(f'{len(titles)} clips of {preprocessor.num_frames} frames: {out}')


if __name__ == '__main__':
    main()
