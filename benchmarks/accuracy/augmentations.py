"""Policies of the rows that augment: fixed ones, the uniform control, and searched ones."""

import json
from pathlib import Path

from mmengine.config import Config

from mmdas import apis
from mmdas.apis import convert_augment_search, load_config, preprocessor_of
from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.augmentation.published import rand_augment

from .tasks import Task

# Names of the fixed policies; of AutoAugment there is none for segmentation, ImageNet's is taken.
FIXED = {'uniform': 'uniform', 'rand': 'randaugment', 'trivial': 'trivialaugment', 'auto': 'autoaugment'}
# Half of the usual level of RandAugment, and of the levels of DDAS.
MILD = '-mild'
MILD_LEVEL, MILD_LEVELS = 4, (0, 1, 3, 5)


def fixed_policy(task: Task, name: str) -> AugmentPolicy | None:
    """A policy that nothing is searched for; None for a method of search."""
    if name == f'rand{MILD}':
        return rand_augment(magnitude=MILD_LEVEL)
    if name not in FIXED:
        return None
    suffix = '-cifar10' if (name, task.host) == ('auto', 'cifar10') else ''
    return apis.fixed_policy(f'{FIXED[name]}{suffix}', apis.training_size(load_config(task.path)))


def search_config(task: Task, name: str, seed: int) -> Config:
    """The search of a row: as many images as the task's search of DAS sees.

    Args:
        task: of the table.
        name: a method, with ``-shared`` for copies that share the batch, or ``-mild`` for lower levels of DDAS.
        seed: of the search and of its data's parts.
    """
    method = name.removesuffix('-shared').removesuffix(MILD)
    cfg = convert_augment_search(load_config(task.path), method)
    # The search of DAS has a batch of one part in its warm-up, then one of each part; these have both all the time.
    iterations = task.search_iterations - task.search_warmup // 2
    cfg.train_cfg.update(max_iters=iterations)
    if cfg.train_cfg.get('warmup_iters'):
        cfg.train_cfg.warmup_iters = task.search_warmup
        cfg.train_cfg.max_iters = task.search_iterations
    cfg.param_scheduler.weights[0].update(end=cfg.train_cfg.max_iters, T_max=cfg.train_cfg.max_iters)
    if name.endswith('-shared'):
        cfg.train_cfg.step.share_batch = True
    if name.endswith(MILD):
        preprocessor_of(cfg).augments[0].search.levels = MILD_LEVELS
    cfg.randomness = dict(seed=seed)
    cfg.default_hooks.update(checkpoint=None)
    return cfg


def seconds_of(path: Path, device: str) -> float | None:
    """What the search of a policy cost."""
    origin = json.loads(path.read_text())['origin']
    return origin.get('search_cost', {}).get(f'{device.lower()}_seconds')
