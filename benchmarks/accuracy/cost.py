"""What an iteration, a test image and a search of every row cost, one row after the other, alone on the GPU.

``python -m benchmarks.accuracy.cost TASK`` writes ``results/accuracy-TASK-cost.json``, from which the page takes the
seconds of the tasks whose trainings share a GPU. Data loading is not in them.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmdas.apis import preprocessor_of
from mmdas.apis.runner import build_runner

from .probes import predict, with_views
from .recorder import seconds
from .rows import ROWS, Row
from .run import CELL, find_policy, run_config, use_channels_last
from .tasks import ROOT, TASKS, Task

RESULTS = ROOT / 'benchmarks' / 'results'
WARM_UP, REPEATS = 5, 10


def cost(task: Task, row: Row, out: Path) -> dict[str, float]:
    """Costs of a row; a searched policy is represented by a random one of the same search space."""
    policy, _ = find_policy(task, replace(row, clip='random') if row.clip == 'search' else row, 0, out)
    torch.cuda.reset_peak_memory_stats()
    with DefaultScope.overwrite_default_scope('mmengine'):
        runner = build(run_config(task, row, 'repeat', out, policy))
        wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
        batch = next(iter(runner.build_dataloader(alone(runner.cfg.train_dataloader), seed=0)))
        result = {'iteration_seconds': timed(lambda: runner.model.train().train_step(batch, optim_wrapper=wrapper))}
        result['peak_mib'] = round(torch.cuda.max_memory_allocated() / 2**20)
        batch = next(iter(runner.build_dataloader(alone(runner.cfg.val_dataloader), seed=0)))
        for name, predictor in {'test': predict, **{f'tta{count}': with_views(count) for count in (2, 4, 8)}}.items():
            images, taken = tested(runner.model.eval(), batch, predictor)
            result[f'{name}_milliseconds'] = round(1e3 * taken / images, 4)
        if row.clip == 'search':
            result['search_seconds'] = search_cost(task, row, out)
    return result


def build(cfg: Config):
    """A runner that writes next to nothing."""
    cfg.experiment_name, cfg.log_level = f'cost-{id(cfg)}', 'WARNING'
    runner = build_runner(cfg)
    use_channels_last(runner.model)
    return runner


def alone(dataloader: dict) -> dict:
    """A loader that keeps to this process."""
    return {**dataloader, 'num_workers': 0, 'persistent_workers': False}


@torch.no_grad()
def tested(model: nn.Module, batch: dict, predictor) -> tuple[int, float]:
    """Images of a batch, and seconds of its test, the preprocessor included."""

    def step() -> None:
        data = model.data_preprocessor(batch, False)
        predictor(model, data['inputs'], data['data_samples'])

    return len(batch['inputs']), timed(step)


def search_cost(task: Task, row: Row, out: Path) -> float:
    """Seconds of a search, from its two kinds of steps."""
    cfg = run_config(task, replace(row, fusion='gsf'), 'search', out)
    preprocessor_of(cfg).cell.update({**CELL, 'seed': 0, **row.cell})
    cfg.train_cfg.selection = {'type': f'mmdas.{row.selection}'}
    cfg.param_scheduler = None
    cfg.train_dataloader.update(alone(cfg.train_dataloader))
    runner = build(cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
    loop = runner.build_train_loop(runner.cfg.train_cfg)
    batch = next(loop.weights_batches)
    runner.model.train()
    weights, policy = (timed(lambda name=name: loop._step(name, batch)) for name in ('weights', 'policy'))
    steps = task.search_iterations - task.search_warmup
    return round(task.search_iterations * weights + steps * policy, 1)


def timed(step) -> float:
    """Median seconds of a step."""
    times = []
    for _ in range(WARM_UP + REPEATS):
        start = seconds()
        step()
        times.append(seconds() - start)
    return median(times[WARM_UP:])


def main() -> None:
    """Measure the rows that the command line names and keep what was measured of others before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('task', choices=sorted(name for name, task in TASKS.items() if task.device == 'GPU'))
    parser.add_argument('--rows', nargs='+', help='names of rows (default: all of the task)')
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'accuracy')
    parser.add_argument('--results', type=Path, help='JSON (default: benchmarks/results/accuracy-TASK-cost.json)')
    args = parser.parse_args()
    os.chdir(ROOT)
    path = (args.results or RESULTS / f'accuracy-{args.task}-cost.json').resolve()
    costs = json.loads(path.read_text()) if path.is_file() else {}
    for row in ROWS[args.task]:
        if args.rows is None or row.name in args.rows:
            costs[row.name] = cost(TASKS[args.task], row, (args.out / args.task / 'cost').resolve())
            costs[row.name]['device'] = torch.cuda.get_device_name()
            print(row.name, json.dumps(costs[row.name]), flush=True)
            path.write_text(json.dumps(costs, indent=1) + '\n')


if __name__ == '__main__':
    main()
