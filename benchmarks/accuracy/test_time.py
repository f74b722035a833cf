"""Views at test time of a trained plain model: ``python -m benchmarks.accuracy.test_time cifar10 --seed 0``.

The plain model of the tables is trained (or taken from an earlier run), its views are searched on images that neither
the training nor the test has, and the test set is scored three times: the image alone, the mean of the image and its
mirror image, and the views that were found. A line of JSON goes to ``benchmarks/results/test-time.jsonl``.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is loaded: seconds of several threads do not compare

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmdas.apis import ViewSearchOptions, load_config, search_views, use_views  # noqa: E402
from mmdas.search.test_time import View, ViewPolicy  # noqa: E402

from .run import make_runner, train_plain  # noqa: E402
from .tasks import ROOT, TASKS, Task  # noqa: E402

RESULTS = ROOT / 'benchmarks' / 'results' / 'test-time.jsonl'
FLIPS = ViewPolicy((View(), View(flip=True)), (0.5, 0.5))
ITERATIONS = {'cifar10': 4800, 'camvid': 2000}


def measure(task: Task, seed: int, iterations: int, out: Path) -> dict[str, Any]:
    """Train, search and test with one seed; the record. Seconds are those of the CPU, all in all."""
    path, taken = trained(task, seed, iterations, out)
    torch.set_num_threads(1)
    cfg = load_config(task.path)
    set_apart(cfg, task)
    quiet(cfg, out)
    start = time.process_time()
    with DefaultScope.overwrite_default_scope('mmengine'):
        found = search_views(cfg, path, ViewSearchOptions(seed=seed)).policy
    seconds = round(time.process_time() - start, 1)
    origin = found.origin
    return {
        'task': task.host,
        'seed': seed,
        'iterations': iterations,
        **taken,
        'search_seconds': seconds,
        'search_over_training': round(seconds / taken['train_seconds'], 4),
        'validation': {key: origin[key] for key in ('metric', 'scores', 'decision', 'tried', 'data')},
        'test': {name: score(task, path, policy, out) for name, policy in policies(found).items()},
        'views': found.to_dict()['views'],
    }


def trained(task: Task, seed: int, iterations: int, out: Path) -> tuple[Path, dict[str, float]]:
    """Checkpoint of the plain model, trained now if it was not before, and what its training took."""
    path = out / task.host / f'{iterations}-{seed}.pth'
    taken = path.with_suffix('.json')
    if not taken.is_file():
        start = time.process_time()
        point = train_plain(load_config(task.path), task, seed, iterations, path)
        seconds = {'train_seconds': round(time.process_time() - start, 1), 'step_seconds': point['train_seconds']}
        taken.write_text(json.dumps(seconds))
    return path, json.loads(taken.read_text())


def policies(found: ViewPolicy) -> dict[str, ViewPolicy]:
    """What the test set is scored with."""
    return {'image': ViewPolicy(), 'flips': FLIPS, 'searched': found}


def set_apart(cfg: Config, task: Task) -> None:
    """Validation images that neither the training nor the test has."""
    dataset = cfg.val_dataloader.dataset
    if task.host == 'cifar10':  # the training has the first 200 of every class
        dataset.update(split='train', per_class=300, indices=[c * 300 + i for c in range(10) for i in range(200, 300)])
    else:
        dataset.data_prefix.update(img_path='val', seg_map_path='valannot')


def quiet(cfg: Config, out: Path) -> None:
    """Keep a run from writing more than its log."""
    cfg.work_dir = str(out / 'runs')
    cfg.log_level = 'WARNING'
    cfg.experiment_name = f'test-time-{time.time_ns()}'
    cfg.default_hooks.update(checkpoint=None)


def score(task: Task, checkpoint: Path, policy: ViewPolicy, out: Path) -> dict[str, float]:
    """Score of the test set in percent, and milliseconds an image of preprocessor, views and network."""
    cfg = load_config(task.path)
    quiet(cfg, out)
    cfg.load_from = str(checkpoint)
    with DefaultScope.overwrite_default_scope('mmengine'):
        use_views(cfg, None)
        runner = make_runner(cfg)
        runner.model.use(policy)
        step, spent = runner.model.test_step, [0.0, 0]

        def timed(data: dict) -> list:
            start = time.process_time()
            result = step(data)
            spent[0] += time.process_time() - start
            spent[1] += len(result)
            return result

        runner.model.test_step = timed
        metrics = runner.test()
    return {'score': round(float(metrics[task.metric]), 3), 'milliseconds': round(1e3 * spent[0] / spent[1], 3)}


def main() -> None:
    """Measure what the command line names and append it to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('task', choices=sorted(ITERATIONS))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--iterations', type=int, help='of the training (cifar10: 4800, camvid: 2000)')
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'test_time', help='checkpoints and logs')
    parser.add_argument('--results', type=Path, default=RESULTS)
    args = parser.parse_args()
    os.chdir(ROOT)
    iterations = args.iterations or ITERATIONS[args.task]
    record = measure(TASKS[args.task], args.seed, iterations, args.out.resolve())
    with args.results.open('a') as stream:
        stream.write(json.dumps(record) + '\n')
    print(json.dumps(record, indent=1))


if __name__ == '__main__':
    main()
