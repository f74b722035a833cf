"""What the guards of a run cost: ``python -m benchmarks.guards`` races a step with them against MMEngine's own.

Both runs train the same plain model on the same synthetic images, with the hooks that MMEngine has by default and the
data loader of the main process, where its guard costs most. A step is the batch, the pass forward and backward, the
optimiser's step and all hooks, without checkpoints.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is loaded

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmdas.apis import build_runner, load_config  # noqa: E402
from mmdas.engine.runner.endless_batches import EndlessBatches  # noqa: E402

from .harness import CPU, race  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
HOSTS = {
    'CIFAR-10, ResNet-18 at quarter width, batch 64': (
        'configs/cifar10_reduced/resnet18-quarter_cifar10-reduced.py',
        dict(train_dataloader=dict(batch_size=64)),
    ),
    'CamVid, PSPNet on ResNet-18 at 160 x 160, batch 4': (
        'configs/camvid/pspnet_r18-d8_camvid-240x180.py',
        dict(train_dataloader=dict(batch_size=4)),
    ),
}


def host(path: str, options: dict, folder: str) -> Config:
    """A training of a config that saves nothing and logs as always."""
    cfg = load_config(ROOT / path)
    cfg.merge_from_dict(options)
    cfg.merge_from_dict(dict(train_dataloader=dict(num_workers=0, persistent_workers=False)))
    cfg.work_dir = folder
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=10**6)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = cfg.param_scheduler = None
    cfg.log_level = 'WARNING'
    return cfg


def step_of(cfg: Config, guarded: bool) -> Callable[[], None]:
    """One iteration of a training after the other."""
    cfg = cfg.copy()
    cfg.experiment_name = f'guards-{guarded}'
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        if guarded:
            runner = build_runner(cfg)
        else:
            with patch('mmdas.apis.runner.make_reliable'):
                runner = build_runner(cfg)
        loop = runner.build_train_loop(runner._train_loop)
        runner._train_loop = loop
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.call_hook('before_run')
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        runner.model.train()
    batches = EndlessBatches(loop.dataloader) if guarded else loop.dataloader_iterator

    def step() -> None:
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            loop.run_iter(next(batches))

    return step


def main() -> None:
    """Race, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=200, help='pairs of steps (%(default)s)')
    args = parser.parse_args()
    os.chdir(ROOT)
    print('| training | MMEngine, ms | with the guards, ms | more |\n| --- | --- | --- | --- |')
    for name, (path, options) in HOSTS.items():
        with TemporaryDirectory() as folder:
            cfg = host(path, options, folder)
            steps = {kind: step_of(cfg, kind == 'guarded') for kind in ('plain', 'guarded')}
            times = race(steps, args.rounds, 10, CPU)
        ratios = [new / old for new, old in zip(times['guarded'].seconds, times['plain'].seconds, strict=True)]
        more = sorted(ratios)[len(ratios) // 2] - 1
        row = name, times['plain'].milliseconds, times['guarded'].milliseconds, f'{100 * more:.1f} %'
        print(f'| {" | ".join(row)} |', flush=True)


if __name__ == '__main__':
    main()
