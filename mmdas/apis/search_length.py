"""How long the search of a host is."""

from dataclasses import dataclass

from mmengine.config import Config

from .config_names import find_config
from .das_options import ConversionError
from .runner import read_config

SEARCH_BASE = 'mmdas::_base_/search.py'  # the optimisers, ranges and hooks of all searches
# A search takes this part of the host's training, at least the minimum, and the weights alone this part of the search.
SEARCH_PART, MINIMUM, WARMUP_PART = 0.1, 4, 0.25
# A search of fewer iterations takes larger steps of the policy.
QUICK = 2000
# Adam moves a logit by at most its rate a step. Mixtures whose logits move less than this in all stay almost uniform.
USEFUL_MOVE = 0.5


@dataclass(frozen=True)
class SearchLength:
    """How long a search is: its unit (``'iters'`` or ``'epochs'``), all of it, and the weights alone before."""

    unit: str
    total: int
    warmup: int

    @property
    def optimizer(self) -> str:
        """Name of the policy's optimiser in the base config of all searches."""
        return 'quick_policy_optimizer' if self.unit == 'iters' and self.total < QUICK else 'policy_optimizer'


def search_length(cfg: Config) -> SearchLength:
    """The length of the search that goes with a training."""
    unit = 'epochs' if cfg.train_cfg.get('max_epochs') else 'iters'
    training = cfg.train_cfg.get(f'max_{unit}')
    if not training:
        raise ConversionError('train_cfg says neither max_iters nor max_epochs')
    total = max(round(SEARCH_PART * training), min(training, MINIMUM))
    return SearchLength(unit, total, round(WARMUP_PART * total))


def short_search(cfg: Config) -> str | None:
    """What to tell of a search that is shorter than is useful; None for a longer one.

    A search takes a tenth of the host's training. It is too short where that is less than 4 epochs, or where the steps
    of the policy times the rate of Adam, the farthest that a logit can move, are less than 0.5.
    """
    length = search_length(cfg)
    place = f'train_cfg.max_{length.unit}'
    remedy = f'give the search more, by {place} and train_cfg.warmup_{length.unit} of its config'
    if length.unit == 'epochs':
        training = cfg.train_cfg.max_epochs
        if SEARCH_PART * training >= MINIMUM:
            return None
        return f'the search has {length.total} epochs, as a tenth of the {training} of the training is less; {remedy}'
    rate = read_config(find_config(SEARCH_BASE)[0])[length.optimizer].lr
    steps = length.total - length.warmup
    if steps * rate >= USEFUL_MOVE:
        return None
    return (
        f'the search has {steps} steps of the policy at a rate of {rate:g}: its logits can move by {steps * rate:.2g} '
        f'at most, and below {USEFUL_MOVE} the mixtures stay almost uniform; {remedy}'
    )
