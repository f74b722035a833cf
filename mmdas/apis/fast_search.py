"""A search of DAS at a fraction of its cost, from the config of any."""

from mmengine.config import Config

from mmdas.registry import type_name

from .das_settings import parts_with_frames, preprocessor_of, takes_frames
from .search_length import set_length

# Measured in benchmarks/accuracy.md. The warm-up takes this part of all iterations of the default search, on the image
# alone, and the policy phase this part of the default's.
WARMUP_PART, POLICY_PART = 0.5, 0.3
# Every second iteration of the policy phase steps the policy; the weights see two frames.
POLICY_INTERVAL = 2
FRAMES = {'warmup': 1, 'weights': 2}
# So many times the rate of the policy makes up for its fewer steps.
RATE = 6.0


def set_fast(cfg: Config) -> None:
    """Make the search of a config fast: fewer and cheaper steps, with larger ones of the policy.

    1. The warm-up trains the weights on the image alone, for half of the iterations of the default search.
    2. The policy phase has 0.3 of its iterations. Every second one steps the policy, on all frames, at six times the
       rate; all of them step the weights, on two frames.

    Args:
        cfg: of a search; changed. A ``policy_interval`` or ``step_frames`` that it has already stays.

    Raises:
        ValueError: if the config does not search the clip of DAS, or by another step than ``mmdas.AlternatingStep``.
    """
    loop = cfg.get('train_cfg') or {}
    check_fast(cfg)
    unit = 'epochs' if type_name(loop).startswith('Epoch') else 'iters'
    before, warmup = loop[f'max_{unit}'], loop.get(f'warmup_{unit}', 0)
    least = 1 if unit == 'epochs' else POLICY_INTERVAL
    policy, fast_warmup = max(round(POLICY_PART * (before - warmup)), least), round(WARMUP_PART * before)
    set_length(cfg, unit, before, fast_warmup + policy)
    loop[f'warmup_{unit}'] = fast_warmup
    loop.setdefault('policy_interval', POLICY_INTERVAL)
    frames = preprocessor_of(cfg)['num_frames']
    loop.setdefault('step_frames', {kind: min(number, frames) for kind, number in FRAMES.items()})
    cfg.optim_wrapper.policy.optimizer.lr *= RATE
    take_any_frames(cfg)


def check_fast(cfg: Config) -> None:
    """Raise a ValueError for what has no fast search."""
    loop = cfg.get('train_cfg') or {}
    searches = type_name(loop) in ('IterBasedSearchLoop', 'EpochBasedSearchLoop')
    if not searches or preprocessor_of(cfg).get('cell') is None:
        raise ValueError('--fast is for the search of the clip of DAS, and this config has none; leave it out')
    step = type_name(loop.get('step') or {}) or 'AlternatingStep'
    if step != 'AlternatingStep':
        raise ValueError(f'--fast: train_cfg.step is {step}, whose steps use all frames; leave out one of them')


def take_any_frames(cfg: Config) -> None:
    """Let backbone and heads take clips of fewer frames."""
    for part in parts_with_frames(cfg.model.get('module', cfg.model)).values():
        if takes_frames(part):
            part['any_frames'] = True
            if type_name(part.get('fusion') or {}) == 'TemporalShift':
                part['fusion'].setdefault('border', 'replicate')  # so that of one frame nothing moves
