"""What an iteration and a test image cost the models of the demo, measured in turn."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROUNDS = 6  # of which the fastest counts; the first one warms up
Costs = dict[str, dict[str, float]]  # model -> what -> seconds
ITERATION, IMAGE = 'seconds_per_iteration', 'seconds_per_image'


def measure_costs(out: Path, configs: Mapping[str, str]) -> Costs:
    """Seconds of an iteration of the training, and of an image in a test, without loading of data.

    CPU time of one thread, or time with a GPU, a step of each model in turn, so that what else the machine does meets
    all of them alike. Of each kind of step the fastest counts.

    Args:
        out: folder of the demo, with data and policy; it becomes the working directory.
        configs: model -> path of its config.

    Returns:
        model -> ``seconds_per_iteration`` and ``seconds_per_image``.
    """
    import torch

    os.chdir(out)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return fastest({model: model_steps(path) for model, path in configs.items()})
    finally:
        torch.set_num_threads(threads)


def fastest(steps: Mapping[str, Mapping[str, Callable[[], float]]], rounds: int = ROUNDS) -> Costs:
    """The least that each step takes.

    Args:
        steps: model -> name -> a step, which returns its share of the seconds: 1, or 1 / images.
        rounds: of all steps, one after the other.
    """
    found = {model: dict.fromkeys(own, float('inf')) for model, own in steps.items()}
    for _ in range(rounds):
        for model, own in steps.items():
            for name, step in own.items():
                start = seconds()
                share = step()
                found[model][name] = min(found[model][name], share * (seconds() - start))
    return found


def seconds() -> float:
    """CPU time of this process, or, where a GPU does the work, the time at which it is done."""
    import torch

    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def model_steps(config: str) -> dict[str, Callable[[], float]]:
    """A step of a model's training and one of its test, each on one batch; weights are those of the beginning.

    Args:
        config: path of the config.
    """
    import torch
    from mmengine.registry import DefaultScope

    from mmdas.apis import build_runner, load_config

    cfg = load_config(config)
    cfg.log_level, cfg.visualizer, cfg.experiment_name = 'ERROR', None, f'demo-cost-{time.time_ns()}'
    with tempfile.TemporaryDirectory() as cfg.work_dir, DefaultScope.overwrite_default_scope('mmengine'):
        runner = build_runner(cfg)
        wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
        batches = [next(iter(runner.build_dataloader(alone(cfg[f'{part}_dataloader'])))) for part in ('train', 'val')]
    model: Any = runner.model

    def train() -> float:
        model.train()
        model.train_step(batches[0], optim_wrapper=wrapper)
        return 1.0

    @torch.no_grad()
    def test() -> float:
        model.eval()
        return 1 / len(model.test_step(batches[1]))

    return {ITERATION: train, IMAGE: test}


def alone(loader: Mapping[str, Any]) -> dict[str, Any]:
    """A loader that keeps to this process."""
    return {**loader, 'num_workers': 0, 'persistent_workers': False}
