"""Save the clips of some training images.

The images are those that the training pipeline gives, spread evenly over the data set. A search config shows the
mixtures at the start of the search; with --policy, any config shows the clips of that policy. With --das a plain config
shows those of the config that mmdas train makes of it. Without a config, --policy FILE --images FILES shows what a
policy makes of any photos. --out x.gif shows one frame after the other.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.config import Config, DictAction

from .parser import told_in_one_line
from .places import PICTURES, check_file
from .run_options import CONVERSION, add_das_arguments, read_das

if TYPE_CHECKING:
    import numpy as np
    from mmengine.model import BaseDataPreprocessor

NUM = 4  # images of a config
EXAMPLE = 'mmdas browse my_config.py --das policy.json --out clip.png'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', nargs='?', help='file, or name of an installed config')
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='FILE',
        help='files and folders, shown in the size of the first; without a config',
    )
    parser.add_argument('--policy', help='file of a policy to apply in place of what the config says')
    parser.add_argument('--num', type=int, help='number of images (default: 4 of a config, all that --images names)')
    parser.add_argument('--out', default='clip.png', help='picture or .gif to write (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help="settings that replace the config's")
    add_das_arguments(parser)


def build_preprocessor(cfg: Config, policy: str | None) -> BaseDataPreprocessor:
    """Data preprocessor of a config, with ``policy`` in place of its cell or policy where one is given.

    Raises:
        ValueError: for a config of another toolbox.
    """
    from mmengine.registry import MODELS

    from mmdas.apis import preprocessor_of
    from mmdas.apis.clip_config import owns_clip_step, set_channel_order
    from mmdas.hosts import find_host, host_scopes
    from mmdas.noise import import_toolbox
    from mmdas.registry import type_name
    from mmdas.search.das import Policy

    scope = cfg.get('default_scope')
    if scope not in host_scopes():
        raise ValueError(f'default_scope of the config is {scope!r}, expected one of {sorted(host_scopes())}')
    import_toolbox(scope)
    host, options = find_host(scope), dict(preprocessor_of(cfg))
    if type_name(options) in ('', host.preprocessor):
        options['type'] = host.clip_preprocessor
    if policy is not None:
        options.update(cell=None, policy=policy, num_frames=Policy.load(policy).num_frames)
    if owns_clip_step(host, options):
        set_channel_order(cfg, options, host)
    return MODELS.build(options)


def load_samples(cfg: Config, num: int) -> dict:
    """Batch of at most ``num`` training samples, as the pipeline gives them."""
    import numpy as np
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS

    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    indices = np.linspace(0, len(dataset) - 1, min(num, len(dataset))).astype(int).tolist()
    return pseudo_collate([dataset[index] for index in indices])


def make_clips(preprocessor: BaseDataPreprocessor, batch: dict) -> np.ndarray:
    """Clips (B, T, H, W, 3), uint8, of a batch."""
    import torch

    from mmdas.visualization import clip_to_images

    with torch.no_grad():
        clips = preprocessor(batch, training=True)['inputs']  # training: images of different sizes are padded
    present = [name for name in ('mean', 'std') if hasattr(preprocessor, name)]
    normalisation = {name: getattr(preprocessor, name).flatten().tolist() for name in present}
    return clip_to_images(clips, preprocessor.num_frames, **normalisation)


def run(args: Namespace) -> None:
    """Draw the clips.

    Raises:
        CommandError: if there is no such config, policy or image, or the config is of another toolbox or cannot be
            converted.
    """
    with told_in_one_line():
        if args.num is not None and args.num < 1:
            raise ValueError(f'--num must be at least 1, got {args.num}')
        check_file(args.out, (*PICTURES, '.gif'))
        clips, titles, caption = clips_of_photos(args) if args.images else clips_of_data(args)
        save(clips, titles, caption, Path(args.out))
    count, frames = len(titles), clips.shape[1]
    shown = plural(count, 'image') if frames == 1 else f'{plural(count, "clip")} of {frames} frames'
    print(f'{shown}: {args.out}')


def plural(count: int, word: str) -> str:
    """A number with its word."""
    return f'{count} {word}' if count == 1 else f'{count} {word}s'


def clips_of_data(args: Namespace) -> tuple[np.ndarray, list[str], str]:
    """Clips of the training images of a config, their names, and what the policy does."""
    from mmengine.registry import init_default_scope
    from mmengine.runner import set_random_seed

    from mmdas.apis import load_config
    from mmdas.search.das import PolicyClip
    from mmdas.visualization import describe_clip

    if args.config is None:
        raise ValueError('give a config, or --images FILES with --policy FILE')
    das, options = read_das(args)
    cfg = load_config(args.config, cfg_options=args.cfg_options, das=das, options=options)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)  # of crops and flips: the same picture every time
    preprocessor = build_preprocessor(cfg, args.policy)
    batch = load_samples(cfg, NUM if args.num is None else args.num)
    titles = [Path(sample.get('img_path') or '').stem for sample in batch['data_samples']]
    clip = getattr(preprocessor, 'policy', None)
    caption = describe_clip(clip.policy) if isinstance(clip, PolicyClip) else ''
    return make_clips(preprocessor, batch), titles, caption


def clips_of_photos(args: Namespace) -> tuple[np.ndarray, list[str], str]:
    """Clips that a policy makes of files, in the size of the first, their names, and what the policy does."""
    import cv2
    import numpy as np
    import torch

    from mmdas.apis.image_inputs import expand
    from mmdas.search.das import Policy, PolicyClip
    from mmdas.visualization import clip_to_images, describe_clip

    if args.config is not None or args.policy is None or args.das is not None:
        raise ValueError('--images goes with --policy FILE, and without a config')
    unread = next((key for key in ('cfg_options', *CONVERSION) if getattr(args, key) is not None), None)
    if unread is not None:
        raise ValueError(f'--{unread.replace("_", "-")} changes a config, and --images goes without one; leave it out')
    policy = Policy.load(args.policy)
    files = expand(args.images)[: args.num]
    photos = []
    for file in files:
        photo = cv2.imread(str(file))
        if photo is None:
            raise ValueError(f'{file} cannot be read as an image')
        photos.append(photo)
    height, width = photos[0].shape[:2]
    same = np.stack([cv2.resize(photo, (width, height))[..., ::-1] for photo in photos])  # (B, H, W, 3), RGB
    images = torch.from_numpy(same).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        clips = clip_to_images(255 * PolicyClip(policy)(images), policy.num_frames)
    return clips, [Path(str(file)).stem for file in files], describe_clip(policy)


def save(clips: np.ndarray, titles: list[str], caption: str, out: Path) -> None:
    """Write the clips as a picture with names and caption, or as a GIF."""
    from mmdas.visualization import animate_clips, draw_clips

    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == '.gif':
        animate_clips(clips, out)
    else:
        draw_clips(clips, titles, caption).savefig(out, dpi=150)
