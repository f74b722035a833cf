"""Train and test plain, repeat, random-policy and searched-policy models with the same budget: one command a table.

``python -m benchmarks.accuracy camvid`` runs the configs of one data set through ``tools/train.py`` and
``tools/test.py``, each in a process of its own, and prints a table. Finished rows are kept in the output folder, so
that an interrupted table goes on where it stopped; ``--record`` writes them to ``benchmarks/results`` too.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

import mmdas  # noqa: F401  makes the installed configs known

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'


@dataclass(frozen=True)
class Task:
    """A data set with its plain config, its metric and the options that all rows share."""

    folder: str
    host: str
    metric: str
    preprocessor: str
    options: tuple[str, ...]
    search_options: tuple[str, ...]


NO_VALIDATION = ('val_cfg=None', 'val_dataloader=None', 'val_evaluator=None')
TASKS = {
    'camvid': Task(
        folder='camvid',
        host='pspnet_r18-d8_camvid-240x180',
        metric='mIoU',
        preprocessor='model.data_preprocessor',
        options=(
            'train_cfg.max_iters=400',
            'param_scheduler.0.end=400',
            'default_hooks.checkpoint.interval=400',
            'train_dataloader.batch_size=4',
            'train_dataloader.dataset.pipeline.3.crop_size=(128,128)',
            'model.data_preprocessor.size=(128,128)',
        ),
        search_options=(
            'train_cfg.max_iters=200',
            'param_scheduler.weights.0.end=200',
            'param_scheduler.weights.0.T_max=200',
            'train_dataloader.batch_size=4',
            'train_dataloader.dataset.dataset.pipeline.3.crop_size=(128,128)',
            'model.data_preprocessor.size=(128,128)',
        ),
    ),
    'cifar10': Task(
        folder='cifar10_reduced',
        host='resnet18-quarter_cifar10-reduced',
        metric='accuracy/top1',
        preprocessor='data_preprocessor',
        options=(
            'train_cfg.max_epochs=4',
            'param_scheduler.total_steps=4',
            'default_hooks.checkpoint.interval=4',
        ),
        search_options=(
            'train_cfg.max_epochs=3',
            'train_cfg.warmup_epochs=1',
            'param_scheduler.weights.0.end=3',
            'param_scheduler.weights.0.T_max=3',
        ),
    ),
}


def run(command: list[str], log: Path) -> dict[str, float]:
    """Run a command with its output in ``log``; seconds of wall and CPU time of it and its workers."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('w') as stream:
        status = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT, check=False).returncode
    if status:
        raise RuntimeError(f'{" ".join(command)} ended with status {status}; its output is in {log}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {'wall_seconds': time.perf_counter() - start, 'cpu_seconds': cpu}


def tool(name: str, config: str, *arguments: str, options: tuple[str, ...]) -> list[str]:
    """Command line of ``tools/<name>.py``."""
    return [sys.executable, f'tools/{name}.py', config, *arguments, '--cfg-options', *options]


def newest_metrics(work_dir: Path, metric: str) -> dict:
    """Metrics that the last test wrote."""
    for path in sorted(work_dir.glob('*/*.json'), reverse=True):
        content = json.loads(path.read_text().splitlines()[-1])
        if metric in content:
            return content
    raise FileNotFoundError(f'no test result with {metric} under {work_dir}')


def train_and_test(task: Task, name: str, config: str, options: tuple[str, ...], out: Path) -> dict:
    """One row: train, test, and what both cost."""
    work_dir = out / name
    path = f'configs/{task.folder}/{config}.py'
    options = (*task.options, *options)
    trained = run(
        tool('train', path, '--work-dir', str(work_dir), options=(*options, *NO_VALIDATION)), out / f'{name}.train.log'
    )
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    tested = run(
        tool('test', path, checkpoint, '--work-dir', str(work_dir / 'test'), options=options), out / f'{name}.test.log'
    )
    cfg = Config.fromfile(ROOT / path)
    metrics = newest_metrics(work_dir / 'test', task.metric)
    return {
        'row': name,
        'score': metrics[task.metric],
        'frames': cfg.get('num_frames', 1),
        'train_cpu_seconds': round(trained['cpu_seconds'], 1),
        'train_wall_seconds': round(trained['wall_seconds'], 1),
        'test_cpu_seconds': round(tested['cpu_seconds'], 1),
        'config': path,
        'options': list(options),
    }


def search(task: Task, frames: int, out: Path) -> dict:
    """Search a policy for T frames; its cost."""
    name = f'search-{frames}f'
    config = f'configs/{task.folder}/{name}-gsf_{task.host}.py'
    command = tool('train', config, '--work-dir', str(out / name), options=(*task.search_options, *NO_VALIDATION))
    spent = run(command, out / f'{name}.log')
    return {'row': name, 'frames': frames, **{key: round(value, 1) for key, value in spent.items()}}


def random_policy(task: Task, frames: int, out: Path) -> Path:
    """A random policy from the space and the ranges of the search."""
    path = out / f'random-{frames}f.json'
    config = f'configs/{task.folder}/search-{frames}f-gsf_{task.host}.py'
    run([sys.executable, 'tools/misc/random_policy.py', str(path), '--config', config], out / f'random-{frames}f.log')
    return path


def rows(task: Task, frames: list[int], out: Path) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Yield (name, function) of all rows in order."""
    yield 'plain', lambda: train_and_test(task, 'plain', task.host, (), out)
    for count in frames:
        config = f'repeat-{count}f-gsf_{task.host}'
        yield f'repeat-{count}f', lambda n=f'repeat-{count}f', c=config: train_and_test(task, n, c, (), out)
        yield f'search-{count}f', lambda n=count: search(task, n, out)
        for kind in ('das', 'random'):
            yield (
                f'{kind}-{count}f',
                lambda n=f'{kind}-{count}f', c=config, t=count: train_and_test(
                    task, n, c, (f'{task.preprocessor}.policy={policy_path(task, n, t, out)}',), out
                ),
            )


def policy_path(task: Task, name: str, frames: int, out: Path) -> Path:
    """Policy file of a row."""
    path = random_policy(task, frames, out) if name.startswith('random') else out / f'search-{frames}f' / 'policy.json'
    return Path(os.path.relpath(path, ROOT))  # results name no machine's folders


def print_table(results: dict[str, dict]) -> None:
    """Markdown table of the rows so far."""
    print('| row | frames | score | training, CPU s | test, CPU s |\n| --- | --- | --- | --- | --- |')
    for row in results.values():
        score = f'{row["score"]:.2f}' if 'score' in row else '-'
        seconds = row.get('train_cpu_seconds', row.get('cpu_seconds'))
        print(f'| {row["row"]} | {row["frames"]} | {score} | {seconds} | {row.get("test_cpu_seconds", "-")} |')


def main() -> None:
    """Run the table that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('task', choices=sorted(TASKS))
    parser.add_argument('--frames', type=int, nargs='+', default=[4, 8], choices=[4, 8])
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'accuracy', help='logs and checkpoints')
    parser.add_argument('--record', action='store_true', help='write the rows to benchmarks/results, too')
    args = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # CPU seconds of several threads do not compare
    out = (args.out / args.task).resolve()
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'results.json'
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name, function in rows(TASKS[args.task], args.frames, out):
        if name not in results:
            results[name] = function()
            path.write_text(json.dumps(results, indent=2) + '\n')
        print_table(results)
    if args.record:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f'{args.task}.json').write_text(path.read_text())


if __name__ == '__main__':
    main()
