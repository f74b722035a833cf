"""Losses that are not finite."""

from collections.abc import Iterator

from trials import Trials

from mmdas.engine.checkpoints import newest_checkpoint


def not_finite(trials: Trials) -> Iterator[bool]:
    """A learning rate that makes the loss overflow, in trainings and in searches by argmax."""
    rate = 'optim_wrapper.optimizer.lr=1e30'
    for number, config in enumerate(trials.configs()):
        work_dir = trials.folder / f'nan-{number}'
        code, text = trials.run(config, work_dir, '--cfg-options', rate)
        newest = newest_checkpoint(work_dir)
        good = newest is None or all(value.isfinite().all() for value in newest[1]['state_dict'].values())
        yield code != 0 and 'loss' in text.splitlines()[-1] and good
    for number, seed in enumerate(range(3)):
        work_dir = trials.folder / f'nan-search-{number}'
        options = ['train_cfg.max_iters=8', 'train_cfg.warmup_iters=2', f'randomness.seed={seed}']
        options += ['optim_wrapper.weights.optimizer.lr=1e30']
        iterations = trials.folder / 'iter-0.py'
        code, _ = trials.run(iterations, work_dir, '--cfg-options', *options, command='search')
        yield code != 0 and not list(work_dir.glob('policy*.json'))
