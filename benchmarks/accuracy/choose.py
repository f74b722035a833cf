"""Whether ``mmdas compare`` names a good method for a third of the full cost: ``python -m benchmarks.accuracy.choose
cifar10``.

The comparison has the plain config of the table, its schedule and the length of its rows. Its budget counts iterations,
so that a busy machine has the same plan as an idle one. The same command goes on after a stop. The method that it names
stands beside the table's scores in ``docs/compare.md``.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is loaded

from mmengine.config import Config  # noqa: E402

from mmdas.apis import load_config  # noqa: E402
from mmdas.commands import main as mmdas  # noqa: E402

from .run import set_training  # noqa: E402
from .tasks import ROOT, TASKS, Task  # noqa: E402

# Iterations of the rows that the full tables compare, and methods that stand there.
LENGTHS = {'cifar10': 4800, 'camvid': 6000}
METHODS = {
    'cifar10': 'plain,randaugment,trivialaugment,mixup,label-smoothing',
    'camvid': 'plain,randaugment,label-smoothing,cutmix',
}
SEEDS = 2  # of a finalist


def full_config(task: Task) -> Config:
    """The plain config at the length of the table, with its average of the weights and a checkpoint at the end."""
    cfg = load_config(task.path)
    length = LENGTHS[task.host]
    set_training(cfg, task, length, 0)
    cfg.train_cfg.val_interval = length
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=length, by_epoch=False, max_keep_ckpts=1)
    cfg.default_hooks.logger.interval = 100
    return cfg


def third(methods: str, length: int) -> int:
    """A third of the iterations that all methods take at full length with all seeds."""
    return len(methods.split(',')) * SEEDS * length // 3


def main() -> int:
    """Run the comparison, or go on with it; the exit code of ``mmdas compare``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('task', choices=sorted(LENGTHS))
    parser.add_argument('--methods', help='with plain (default: some of the table)')
    parser.add_argument('--seed', type=int, default=0, help='first seed, also that of the split')
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'accuracy', help='folder of all comparisons')
    args = parser.parse_args()
    os.chdir(ROOT)
    methods = args.methods or METHODS[args.task]
    folder = args.out.resolve() / args.task / f'choose-{args.seed}'
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / 'plain.py'
    full_config(TASKS[args.task]).dump(config)
    budget = f'{third(methods, LENGTHS[args.task])}iters'
    seeds = ['--seed', str(args.seed), '--seeds', str(SEEDS)]
    command = ['compare', str(config), '--methods', methods, '--budget', budget, *seeds]
    return mmdas([*command, '--out', str(folder / 'compared')])


if __name__ == '__main__':
    raise SystemExit(main())
