"""How long the search of a host is."""

from dataclasses import dataclass

from mmengine.config import Config

from mmdas.registry import type_name

from .das_options import ConversionError

SEARCH_BASE = 'mmdas::_base_/search.py'  # the optimisers, ranges and hooks of all searches
# A search takes this part of the host's training, at least the minimum, and the weights alone this part of the search.
SEARCH_PART, MINIMUM, WARMUP_PART = 0.1, 4, 0.25
# Epochs in which the policy of a search with fewer, but larger steps of it has to step.
FAST_MINIMUM = 2
# A search of fewer iterations takes larger steps of the policy.
QUICK = 2000
# Adam moves a logit by at most its rate a step. Mixtures whose logits move less than this in all stay almost uniform.
USEFUL_MOVE = 0.5


@dataclass(frozen=True)
class SearchLength:
    """How long a search is.

    Args:
        unit: ``'iters'`` or ``'epochs'``.
        total: all of it.
        warmup: the weights alone, before the policy steps.
        optimizer: name of the policy's optimiser in the base config of all searches.
        image: of the warm-up, on the image alone. Default: 0.
    """

    unit: str
    total: int
    warmup: int
    optimizer: str
    image: int = 0


def search_length(cfg: Config, total: int | None = None) -> SearchLength:
    """The length of the search that goes with a training.

    Args:
        cfg: of the training.
        total: the length, where it is given.
    """
    unit = 'epochs' if cfg.train_cfg.get('max_epochs') else 'iters'
    training = cfg.train_cfg.get(f'max_{unit}')
    if not training:
        raise ConversionError('train_cfg says neither max_iters nor max_epochs')
    total = total or max(round(SEARCH_PART * training), min(training, MINIMUM))
    optimizer = 'quick_policy_optimizer' if unit == 'iters' and total < QUICK else 'policy_optimizer'
    return SearchLength(unit, total, round(WARMUP_PART * total), optimizer)


def short_search(cfg: Config) -> str | None:
    """What to tell of a search that is shorter than is useful; None for a longer one, or no search.

    It is too short where the policy steps in fewer than 4 epochs, or where its steps times the rate of Adam, the
    farthest that a logit can move, are less than 0.5.

    Args:
        cfg: of a search.
    """
    loop = cfg.get('train_cfg') or {}
    if type_name(loop) not in ('IterBasedSearchLoop', 'EpochBasedSearchLoop'):
        return None
    unit = 'epochs' if type_name(loop).startswith('Epoch') else 'iters'
    steps = loop[f'max_{unit}'] - loop.get(f'warmup_{unit}', 0)
    remedy = f'give it more by --cfg-options train_cfg.max_{unit}=N of mmdas search'
    if unit == 'epochs':
        least = FAST_MINIMUM if loop.get('image_epochs') else MINIMUM
        if steps >= least:
            return None
        return f'the policy of this search steps in {steps} epochs alone, {least} are the least of use; {remedy}'
    interval = loop.get('policy_interval', 1)
    steps //= interval if isinstance(interval, int) and interval > 0 else 1  # the loop refuses others
    rate = ((cfg.optim_wrapper.get('policy') or {}).get('optimizer') or {}).get('lr')
    if rate is None or steps * rate >= USEFUL_MOVE:
        return None
    return (
        f'this search has {steps} steps of the policy at a rate of {rate:g}, which move its logits by at most '
        f'{steps * rate:.2g}; below {USEFUL_MOVE} the mixtures stay almost uniform; {remedy}'
    )


def set_length(cfg: Config, unit: str, before: int, length: int) -> None:
    """Put a length into the loop of a search, its warm-up and the schedules of the rates.

    Args:
        cfg: of the search; changed.
        unit: of its loop, ``'iters'`` or ``'epochs'``.
        before, length: the length that the config has, and the one that it gets.
    """
    loop = cfg.train_cfg
    for part in (f'warmup_{unit}', f'image_{unit}'):
        if loop.get(part):
            loop[part] = round(loop[part] * length / before)
    for key, value in loop.items():
        if key in (f'max_{unit}', 'val_interval'):
            loop[key] = max(round(value * length / before), 1) if key == 'val_interval' else length
    cfg[f'max_{unit}'] = length
    schedulers = cfg.get('param_scheduler') or {}
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for group in groups:
        for scheduler in group:
            for key in ('T_max', 'end', 'begin'):
                if scheduler.get(key):
                    scheduler[key] = max(round(scheduler[key] * length / before), 1)
