"""What an iteration, a test image and a search of every row cost, one row after the other, alone on the GPU.

``python -m benchmarks.accuracy.cost TASK`` writes ``results/accuracy-TASK-cost.json``, from which the page takes the
seconds of the tasks whose trainings share a GPU. They are of the preprocessor and the network, up to the logits in a
test, without data loading.
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is loaded

import torch  # noqa: E402
from mmengine.device import get_device  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.harness import race  # noqa: E402
from mmdas.models.heads.temporal_pooling import ALIGNED  # noqa: E402
from mmdas.search.das import Policy  # noqa: E402

from .__main__ import RESULTS, read  # noqa: E402
from .probes import VIEWS, Predict, predict, with_views  # noqa: E402
from .rows import ROWS, Row  # noqa: E402
from .run import find_policy, make_runner, run_config, search_config  # noqa: E402
from .tasks import ROOT, TASKS, Task  # noqa: E402

WARM_UP, REPEATS = 5, 10


def cost(task: Task, row: Row, policy: dict | None, out: Path) -> dict[str, float]:
    """Costs of a row.

    Args:
        task, row: what to measure.
        policy: content of the row's policy; None takes a random one of the same space for a searched row.
        out: folder for configs and policies.
    """
    with DefaultScope.overwrite_default_scope('mmengine'):
        runner = make_runner(run_config(task, row, 'repeat', policy_file(task, row, policy, out)))
        wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
        batch = next(iter(runner.build_dataloader(alone(runner.cfg.train_dataloader), seed=0)))
        result = {'iteration_seconds': timed(lambda: runner.model.train().train_step(batch, optim_wrapper=wrapper))}
        batch = next(iter(runner.build_dataloader(alone(runner.cfg.val_dataloader), seed=0)))
        for name, predictor in {'test': predict, **{f'tta{count}': with_views(count) for count in VIEWS}}.items():
            taken = tested(runner.model.eval(), batch, predictor)
            result[f'{name}_milliseconds'] = round(1e3 * taken / len(batch['inputs']), 4)
        if row.clip == 'search':
            result['search_seconds'] = search_cost(task, row, out)
    return result


def policy_file(task: Task, row: Row, policy: dict | None, out: Path) -> Path | None:
    """The policy as a file, or None where the clip repeats the image.

    A random policy stands for a searched one that is not known, one warp where frames are aligned.
    """
    if policy is None:
        stand_in = {'clip': 'scale', 'cell': {'strength': 0.06}} if row.pooling in ALIGNED else {'clip': 'random'}
        return find_policy(task, replace(row, **stand_in) if row.clip == 'search' else row, 0, out)[0]
    path = out / f'{row.name}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    Policy.from_dict(policy).save(path)
    return path


def alone(dataloader: dict) -> dict:
    """A loader that keeps to this process."""
    return {**dataloader, 'num_workers': 0, 'persistent_workers': False}


@torch.no_grad()
def tested(model: nn.Module, batch: dict, predictor: Predict) -> float:
    """Seconds of the test of a batch."""

    def step() -> None:
        data = model.data_preprocessor(batch, False)
        predictor(model, data['inputs'], data['data_samples'])

    return timed(step)


def search_cost(task: Task, row: Row, out: Path) -> float:
    """Seconds of a search whose selection costs nothing, from its two kinds of steps.

    Raises:
        ValueError: for another selection than argmax.
    """
    if row.selection != 'ArgmaxSelection':
        raise ValueError(f'the cost of {row.selection} in the row {row.name} is not measured')
    cfg = search_config(task, row, 0)
    cfg.param_scheduler = None
    cfg.train_dataloader.update(alone(cfg.train_dataloader))
    runner = make_runner(cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
    loop = runner.build_train_loop(runner.cfg.train_cfg)
    batch = next(loop.weights_batches)
    runner.model.train()
    weights, policy = (timed(lambda name=name: loop.step.update(name, batch)) for name in ('weights', 'policy'))
    length, warmup = cfg.train_cfg.max_iters, cfg.train_cfg.warmup_iters
    return round(length * weights + (length - warmup) * policy, 1)


def timed(step: Callable[[], object]) -> float:
    """Median seconds of a step."""
    return race({'step': step}, REPEATS, WARM_UP, torch.device(get_device()))['step'].median


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
    policies = {record['row']: record['policy'] for record in read(RESULTS / f'accuracy-{args.task}.jsonl')}
    out = (args.out / args.task / 'cost').resolve()
    for row in ROWS[args.task]:
        if args.rows is None or row.name in args.rows:
            costs[row.name] = cost(TASKS[args.task], row, policies.get(row.name), out)
            costs[row.name]['device'] = torch.cuda.get_device_name()
            print(row.name, json.dumps(costs[row.name]), flush=True)
            path.write_text(json.dumps(costs, indent=1) + '\n')


if __name__ == '__main__':
    main()
