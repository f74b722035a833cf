"""How long a prediction takes: in PyTorch, compiled, and from the exported file."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from .check import draw_images
from .exported import ExportedModel
from .graph import first_line
from .network import DeployableNetwork

ROUNDS, WARMUP = 20, 3


def latency_table(network: DeployableNetwork, path: str | Path, size: tuple[int, int], batch: int = 1) -> str:
    """A table of the seconds that a batch takes on the CPU, each way in turn.

    Args:
        network: the model.
        path: of its exported file.
        size: (H, W) of the images.
        batch: images at a time.
    """
    ways, notes = find_ways(network, path, draw_images(batch, network.channels, size, network.pixels))
    times = measure(ways)
    lines = [f'{batch} x {size[0]} x {size[1]}, {torch.get_num_threads()} threads, median (min) of {ROUNDS} rounds']
    for name, seconds in times.items():
        lines.append(f'  {name:<14}{1e3 * median(seconds):9.2f} ms ({1e3 * min(seconds):.2f})')
    return '\n'.join([*lines, *(f'  {note}' for note in notes)])


def find_ways(
    network: DeployableNetwork, path: str | Path, images: Tensor
) -> tuple[dict[str, Callable[[], Any]], list[str]]:
    """Name -> a prediction, and why a way is left out."""
    exported, pixels = ExportedModel(path), images.numpy()
    ways: dict[str, Callable[[], Any]] = {'PyTorch': lambda: network(images)}
    notes = []
    compiled: Any = torch.compile(network, dynamic=False)
    try:
        with torch.no_grad():
            compiled(images)
        ways['compiled'] = lambda: compiled(images)
    except Exception as error:  # without a C++ compiler, or for what Inductor does not know
        notes.append(f'torch.compile: left out, {type(error).__name__}: {first_line(error)}')
    ways['onnxruntime' if Path(path).suffix == '.onnx' else 'torch.export'] = lambda: exported.run(pixels)
    return ways, notes


@torch.no_grad()
def measure(ways: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Seconds of each way in every round, one way after the other within a round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(WARMUP + ROUNDS):
        for name, predict in ways.items():
            start = time.perf_counter()
            predict()
            if index >= WARMUP:
                times[name].append(time.perf_counter() - start)
    return times
