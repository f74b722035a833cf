"""A search of DAS at a fraction of its cost, from the config of any."""

from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from mmdas.engine.checkpoints import has_checkpoints
from mmdas.registry import type_name

from .config_files import read_config
from .das_settings import parts_with_frames, preprocessor_of, takes_frames
from .search_length import SearchLength, set_length

# Measured in docs/user_guide.md. Parts of all iterations of the default search, for the warm-up on the image alone,
# and of those of its policy phase.
IMAGE_PART, POLICY_PART = 2 / 3, 0.25
# So many times the rate of the policy makes up for its fewer steps.
RATE = 4.0


def shortened(length: SearchLength) -> SearchLength:
    """The length of a search in its fast form."""
    image, total = fast_rounds(length.total, length.warmup)
    return replace(length, total=total, warmup=image, image=image, optimizer=f'fast_{length.optimizer}')


def fast_rounds(total: int, warmup: int, least: int = 1) -> tuple[int, int]:
    """How long a search is on the image alone, and in all, from its default length; its policy phase at least so."""
    image = round(IMAGE_PART * total)
    return image, image + max(round(POLICY_PART * (total - warmup)), least)


def set_fast(cfg: Config, own_folder: bool = False) -> None:
    """Make the search of a config fast: fewer and cheaper steps, with larger ones of the policy.

    1. The warm-up trains the weights on the image alone, for two thirds of the iterations of the default search.
    2. The policy phase has a quarter of its iterations, at four times the rate.

    Args:
        cfg: of a search; changed.
        own_folder: whether the work directory gets ``_fast`` at its end, since it is that of the default search.
            Default: False.

    Raises:
        ValueError: if the config does not search the clip of DAS, or does not say the rate of the policy.
    """
    loop = cfg.get('train_cfg') or {}
    check_fast(cfg)
    by_epoch = type_name(loop).startswith('Epoch')
    unit = 'epochs' if by_epoch else 'iters'
    before, warmup = loop[f'max_{unit}'], loop.get(f'warmup_{unit}', 0)
    image, total = fast_rounds(before, warmup, 1 if by_epoch else loop.get('policy_interval', 1))
    set_length(cfg, unit, before, total)
    loop.update({f'warmup_{unit}': image, f'image_{unit}': image})
    cfg.optim_wrapper.policy.optimizer.lr *= RATE
    take_any_frames(cfg)
    if own_folder:
        cfg.work_dir = f'{cfg.work_dir}_fast'


def check_fast(cfg: Config) -> None:
    """Raise a ValueError for what has no fast search."""
    loop = cfg.get('train_cfg') or {}
    searches = type_name(loop) in ('IterBasedSearchLoop', 'EpochBasedSearchLoop')
    if not searches or preprocessor_of(cfg).get('cell') is None:
        raise ValueError('--fast is for the search of the clip of DAS, and this config has none; leave it out')
    if not cfg.optim_wrapper.policy.optimizer.get('lr'):
        raise ValueError('--fast multiplies optim_wrapper.policy.optimizer.lr, which the config does not have; set it')


def take_any_frames(cfg: Config) -> None:
    """Let backbone and heads take the image alone."""
    for part in parts_with_frames(cfg.model.get('module', cfg.model)).values():
        if takes_frames(part):
            part['any_frames'] = True
            if type_name(part.get('fusion') or {}) == 'TemporalShift':
                part['fusion'].setdefault('border', 'replicate')  # so that of one frame nothing moves


def take_up_earlier(cfg: Config) -> None:
    """Let a fast search that resumes go on where earlier versions began it, in the folder of the default search.

    Args:
        cfg: of the search; its work directory is changed where only that of the earlier name holds checkpoints of a
            fast search.
    """
    folder = Path(cfg.work_dir)
    earlier = folder.with_name(without_fast(folder.name))
    kept = earlier / without_fast(Path(cfg.filename or '').name)
    if earlier == folder or has_checkpoints(folder) or not has_checkpoints(earlier) or not kept.is_file():
        return
    loop = read_config(kept).get('train_cfg') or {}
    if loop.get('image_iters') or loop.get('image_epochs'):
        cfg.work_dir = str(earlier)


def without_fast(name: str) -> str:
    """Name of a file or folder of a fast search as earlier versions gave it."""
    return name.removesuffix('_fast').replace('-fast_', '_', 1)
