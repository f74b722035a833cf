"""F1: how time and memory of the relaxed cell grow with each of its sizes, and what a second process brings."""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor, multiprocessing

from benchmarks.harness import MEBIBYTE, Report, Settings, Timing, available_cores, race, ratio, saved_bytes
from benchmarks.hosts import build_model, make_batch
from mmdas.apis import end_processes
from mmdas.search.das import DASCell

TITLE = 'scaling of the relaxed cell with its sizes, and of training with the processes'
PARAMETERS = ('T', 'B', 'HW', 'operations', 'edges')
METRICS = (
    *(f'exponent_{name}' for name in PARAMETERS),
    *(f'memory_exponent_{name}' for name in PARAMETERS),
    'scaling_2_processes',
)
OPERATIONS = ('rotate', 'scale', 'shear_x', 'shear_y', 'translate_x', 'translate_y')

# The model of the processes: a quarter of the width, so that a step is mostly computation also at small sizes.
NARROW = {
    'model.backbone.backbone.stem_channels': 16,
    'model.backbone.backbone.base_channels': 16,
    'model.head.head.in_channels': 128,
}
IMAGES, SIDE = 8, 112  # of each process


@dataclass(frozen=True)
class Case:
    """Sizes of one cell and its images."""

    frames: int = 8
    batch: int = 16
    side: int = 32
    operations: int = 4
    nodes: int = 3

    def __str__(self) -> str:
        size = f'T={self.frames}, B={self.batch}, {self.side}x{self.side}'
        return f'{size}, {self.operations} operations, {self.value("edges")} edges'

    def value(self, parameter: str) -> int:
        """The size that a parameter of the scaling stands for; n nodes after two inputs have n (n + 3) / 2 edges."""
        edges = self.nodes * (self.nodes + 3) // 2
        values = (self.frames, self.batch, self.side**2, self.operations, edges)
        return dict(zip(PARAMETERS, values, strict=True))[parameter]


def sweeps(base: Case) -> dict[str, list[Case]]:
    """Cases that differ from ``base`` in one size: parameter -> cases."""
    return {
        'T': [replace(base, frames=frames) for frames in (2, 4, 8, 16)],
        'B': [replace(base, batch=round(base.batch * factor)) for factor in (0.5, 1, 2, 4)],
        'HW': [replace(base, side=round(base.side * factor)) for factor in (0.5, 1, 1.5, 2)],
        'operations': [replace(base, operations=number) for number in (2, 3, 4, 6)],
        'edges': [replace(base, nodes=nodes) for nodes in (1, 2, 3, 4)],
    }


def run(settings: Settings) -> Report:
    """Fit all exponents, then compare one process with two."""
    base = Case(batch=8) if settings.quick else Case(batch=32, side=64)
    report = Report()
    for parameter, cases in sweeps(base).items():
        rows = measure(parameter, cases, 3 if settings.quick else 9, settings.device)
        title = f'cell with {base}, {parameter} varied'
        report.table(title, (parameter, 'forward + backward, ms', 'saved, MiB'), rows)
        report.metric(f'exponent_{parameter}', rows[-1][1])
        report.metric(f'memory_exponent_{parameter}', rows[-1][2])
    if available_cores() < 2:
        print('scaling_2_processes is left out: it needs two cores')
    else:
        measure_processes(report, rounds=6 if settings.quick else 20)
    return report


def measure(parameter: str, cases: list[Case], rounds: int, device: torch.device) -> list[tuple]:
    """Rows of one parameter: its value, milliseconds, MiB; in the last row the exponents of both."""
    steps = [cell_step(case, device) for case in cases]
    for _, backward in steps:
        backward()  # what a cell keeps from its first call on is no memory of a step
    timings = race({str(index): backward for index, (_, backward) in enumerate(steps)}, rounds, device=device)
    milliseconds = [1e3 * timing.median for timing in timings.values()]
    saved = [saved_bytes(forward) / MEBIBYTE for forward, _ in steps]
    values = [case.value(parameter) for case in cases]
    rows = list(zip(values, milliseconds, saved, strict=True))
    return [*rows, ('exponent', exponent(values, milliseconds), exponent(values, saved))]


def cell_step(case: Case, device: torch.device) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """Forward of a cell; forward and the gradient of its logits."""
    cell = DASCell(case.frames, space=OPERATIONS[: case.operations], num_nodes=case.nodes).to(device)
    images = torch.randn(case.batch, 3, case.side, case.side, device=device)
    grad = torch.randn(case.batch, case.frames * 3, case.side, case.side, device=device)

    def forward() -> Tensor:
        return cell(images)

    return forward, lambda: torch.autograd.grad(forward(), cell.logits, grad)[0]


def exponent(sizes: list[int], costs: list[float]) -> float:
    """Slope of the least-squares line through (log size, log cost): 1 is linear growth."""
    x, y = (torch.tensor([math.log(value) for value in values]).double() for values in (sizes, costs))
    x = x - x.mean()
    return ((x * y).sum() / (x * x).sum()).item()


def measure_processes(report: Report, rounds: int) -> None:
    """Weak scaling on the CPU: two processes of one thread, each with the work of the one."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_train_in_process, args=(folder, rounds), nprocs=2)
        seconds = torch.load(Path(folder, 'seconds.pt'), weights_only=True)
    alone, apart, both = (Timing(tuple(values)) for values in seconds.T.tolist())
    rows = [('1', 1e3 * alone.median, IMAGES / alone.median, 1.0)]
    for name, timing in (('2, without exchange', apart), ('2', both)):
        rows.append((name, 1e3 * timing.median, 2 * IMAGES / timing.median, 2 * ratio(alone, timing)))
    report.table(
        f'training step of a narrow DAS classifier (T = 4, {IMAGES} images of {SIDE}x{SIDE} for each process), one '
        'thread each, gloo; without exchange of gradients it shows what the cores allow',
        ('processes', 'step, ms', 'images/s', 'speedup'),
        rows,
    )
    report.metric('scaling_2_processes', 2 * ratio(alone, both))


def _train_in_process(rank: int, folder: str, rounds: int) -> None:
    """One of two processes: in every round the first trains alone while the other waits, then both at a time."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2)
    single, distributed = _step_function(distributed=False), _step_function(distributed=True)
    seconds = []
    for _ in range(rounds + 2):
        alone = _time(single) if rank == 0 else 0.0
        seconds.append((alone, _time_together(single), _time_together(distributed)))
    if rank == 0:
        torch.save(torch.tensor(seconds[2:], dtype=torch.float64), Path(folder, 'seconds.pt'))  # two to warm up
    del single, distributed  # the group of a wrapped model lives as long as the model
    end_processes()


def _time_together(step: Callable[[], object]) -> float:
    """Seconds until both processes have made a step that they began together."""
    dist.barrier()
    return _time(lambda: (step(), dist.barrier()))


def _step_function(distributed: bool) -> Callable[[], object]:
    name = 'classifier R18'
    model, batch = build_model(name, SIDE, frames=4, options=NARROW), make_batch(name, IMAGES, SIDE)
    model.train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9))
    if distributed:
        model = MMDistributedDataParallel(model, broadcast_buffers=False)
    return lambda: model.train_step(batch, wrapper)


def _time(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
