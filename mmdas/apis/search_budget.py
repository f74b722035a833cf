"""How long a search may be, from how long its steps take on this machine."""

import copy
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger, print_log

from mmdas.registry import type_name

from .fast_search import without_fast
from .search_length import set_length


def fit_to_budget(cfg: Config, seconds: float, resumed: bool = False) -> None:
    """Set the length of a search so that it takes about as long as it may.

    Some steps are measured in a run of their own, which leaves nothing behind. A resumed search keeps the length that
    its first run was given.

    Args:
        cfg: of a search; its lengths are changed in proportion.
        seconds: that the search may take, without start and validation.
        resumed: whether the search goes on from a checkpoint.

    Raises:
        ValueError: if the config does not search, or a resumed search left no config behind.
    """
    loop = cfg.get('train_cfg') or {}
    if type_name(loop) not in ('IterBasedSearchLoop', 'EpochBasedSearchLoop'):
        raise ValueError('--budget goes with a search; a training has the length that its schedule says')
    unit = 'epochs' if type_name(loop).startswith('Epoch') else 'iters'
    before = loop[f'max_{unit}']
    length = _length_of_earlier_run(cfg, unit) if resumed else _length_within(cfg, seconds, unit)
    set_length(cfg, unit, before, length)
    print_log(f'the search has {length} {unit}, for a budget of {seconds:g} s', MMLogger.get_current_instance())


def _length_of_earlier_run(cfg: Config, unit: str) -> int:
    path = Path(cfg.work_dir, Path(cfg.filename).name)
    earlier = path.with_name(without_fast(path.name))
    if not path.is_file() and not earlier.is_file():
        raise ValueError(
            f'--budget with --resume takes the length of the search from {path}, which is not there; leave --resume '
            'out to begin one'
        )
    return Config.fromfile(path if path.is_file() else earlier).train_cfg[f'max_{unit}']


def _length_within(cfg: Config, seconds: float, unit: str) -> int:
    from .step_time import UNMEASURED, time_steps

    trial = copy.deepcopy(cfg)
    trial.train_cfg.update({f'warmup_{unit}': 0, f'image_{unit}': 0})  # steps of the search itself, the dearest
    runner, steps = time_steps(trial)
    schedule = runner.train_loop.schedule
    if not steps:
        raise ValueError(f'--budget: the search has too few iterations to measure, {len(schedule)}')
    each = [
        spent / (schedule.passes_before(iteration + 1) - schedule.passes_before(iteration))
        for iteration, spent in enumerate(steps, UNMEASURED)
    ]
    pass_seconds = sorted(each)[len(each) // 2]
    warmup, image = (cfg.train_cfg.get(f'{part}_{unit}', 0) for part in ('warmup', 'image'))
    plan = runner.train_loop.make_plan(warmup, image)
    whole = plan.passes_before(len(plan)) * pass_seconds
    return max(int(cfg.train_cfg[f'max_{unit}'] * seconds / whole), 2)
