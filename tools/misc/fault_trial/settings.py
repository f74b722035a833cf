"""Runs that are resumed under other settings."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from trials import Trials

from mmdas.engine.checkpoints import newest_checkpoint

# Options of a resumed run, its exit code, and a part of what it tells.
TRAININGS: dict[bool, list[tuple[list[str], int, str]]] = {
    False: [
        (['train_dataloader.batch_size=2'], 0, 'an iteration took 4 samples'),
        (['train_cfg.max_iters=14'], 0, 'train_cfg.max_iters was 12 and is 14. The schedulers go on'),
        (['train_cfg.max_iters=3'], 0, 'nothing is left to do'),
        (['optim_wrapper.optimizer.lr=0.5'], 0, '(now 0.5)'),
        (['train_dataloader.dataset.indices=10'], 0, 'the training set had 20 samples and has 10'),
        (['optim_wrapper.optimizer._delete_=True', 'optim_wrapper.optimizer.type=Adam'], 2, 'was AdamW and is Adam:'),
    ],
    True: [
        (['train_dataloader.batch_size=2'], 0, 'an iteration took 4 samples'),
        (['train_dataloader.batch_size=20'], 0, 'an iteration took 4 samples'),
        (['train_cfg.max_epochs=4'], 0, 'train_cfg.max_epochs was 3 and is 4. The schedulers go on'),
        (['train_dataloader.dataset.indices=10'], 0, 'the training set had 20 samples and has 10'),
    ],
}


SEARCH = ['train_cfg.max_iters=10', 'train_cfg.warmup_iters=2']


SEARCHES: list[tuple[list[str], int, str]] = [
    (['train_cfg.max_iters=12'], 0, 'length was 10 and is 12'),
    (['train_cfg.max_iters=4'], 2, 'the search has begun by another schedule: length was 10 and is 4'),
    (['train_cfg.warmup_iters=4'], 2, 'the search has begun by another schedule: warmup was 2 and is 4'),
    (['model.data_preprocessor.cell.num_nodes=2'], 2, 'num_nodes of the cell: 4 in the checkpoint, 2 now'),
    (['model.data_preprocessor.cell.space=large'], 2, 'operations of the cell'),
    (['train_dataloader.batch_size=2'], 0, 'an iteration took 4 samples'),
    (['train_dataloader.dataset.dataset.indices=10'], 2, 'the policy would be judged by what the weights saw'),
    (['optim_wrapper.weights.optimizer.type=Adagrad'], 2, 'optim_wrapper.weights.optimizer was AdamW and is Adagrad'),
]


def other_settings(trials: Trials) -> Iterator[bool]:
    """A training or search is resumed with other settings: refused in one line, or accepted with a word."""
    for by_epoch, options in ((False, 'iter-0'), (True, 'epoch-0')):
        work_dir = trials.stopped(trials.folder / f'{options}.py', f'settings-{by_epoch}')
        for number, (option, code, told) in enumerate(TRAININGS[by_epoch]):
            yield resumes(trials, trials.folder / f'{options}.py', work_dir, number, option, code, told)
    search = trials.folder / 'iter-0.py'
    work_dir = trials.stopped(search, 'settings-search', 'search', *SEARCH)
    for number, (option, code, told) in enumerate(SEARCHES):
        yield resumes(trials, search, work_dir, number, [*SEARCH, *option], code, told, 'search')


def resumes(
    trials: Trials,
    config: Path,
    begun: Path,
    number: int,
    options: list[str],
    code: int,
    told: str,
    command: str = 'train',
) -> bool:
    """Whether a copy of a run that is resumed with options ends with a code and tells of them."""
    work_dir = shutil.copytree(begun, begun.with_name(f'{begun.name}-{number}'))
    checkpoint = newest_checkpoint(work_dir)[0]
    options = ['--resume', str(checkpoint), '--cfg-options', 'randomness.seed=0', *options]
    found, text = trials.run(config, work_dir, *options, command=command)
    return found == code and told in text and 'Traceback' not in text
