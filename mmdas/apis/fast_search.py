"""A search of DAS at a fraction of its cost, from the config of any."""

from mmengine.config import Config

from mmdas.registry import type_name

from .das_settings import parts_with_frames, preprocessor_of, takes_frames
from .search_length import set_length

# Measured in docs/user_guide.md. Parts of all iterations of the default search, for the warm-up on the image alone,
# and of those of its policy phase.
IMAGE_PART, POLICY_PART = 2 / 3, 0.25
# So many times the rate of the policy makes up for its fewer steps.
RATE = 4.0


def set_fast(cfg: Config) -> None:
    """Make the search of a config fast: fewer and cheaper steps, with larger ones of the policy.

    1. The warm-up trains the weights on the image alone, for two thirds of the iterations of the default search.
    2. The policy phase has a quarter of its iterations, at four times the rate.

    Args:
        cfg: of a search; changed.

    Raises:
        ValueError: if the config does not search the clip of DAS, or does not say the rate of the policy.
    """
    loop = cfg.get('train_cfg') or {}
    check_fast(cfg)
    by_epoch = type_name(loop).startswith('Epoch')
    unit = 'epochs' if by_epoch else 'iters'
    before, warmup = loop[f'max_{unit}'], loop.get(f'warmup_{unit}', 0)
    image = round(IMAGE_PART * before)
    policy = max(round(POLICY_PART * (before - warmup)), 1 if by_epoch else loop.get('policy_interval', 1))
    set_length(cfg, unit, before, image + policy)
    loop.update({f'warmup_{unit}': image, f'image_{unit}': image})
    cfg.optim_wrapper.policy.optimizer.lr *= RATE
    take_any_frames(cfg)


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
