"""A2: the relaxed cell of a search, forward and backward, against its plain loop."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import MEBIBYTE, Report, Settings, check_equal, race, ratio, saved_bytes
from mmdas.cell import DASCell

TITLE = 'relaxed cell, 14 edges x 5 operations, forward and backward to the logits'
METRICS = (
    'speedup_over_loop',
    'speedup_over_loop_64',
    'speedup_per_edge',
    'speedup_per_edge_64',
    'speedup_shared_loop',
    'saved_bytes_ratio',
)
FRAMES = 8
SIZES = ((32, 64), (64, 64), (224, 4), (380, 4))  # (side, batch)
QUICK_SIZES = ((32, 64), (224, 4), (380, 2))
RANGES = {'translate_x': (-0.06, 0.06), 'translate_y': (-0.06, 0.06), 'rotate': (-10.0, 10.0), 'scale': (-0.15, 0.15)}


def run(settings: Settings) -> Report:
    """Time all sizes."""
    rows = [race_size(side, batch, settings) for side, batch in (QUICK_SIZES if settings.quick else SIZES)]
    report = Report()
    columns = ('size', 'loop of 70', 'mmdas, strength per edge', 'loop, shared', 'mmdas, shared')
    ratios = ('x loop of 70', 'per edge', 'shared')
    report.table(
        f'milliseconds (median), T = {FRAMES}; how many times as fast: the shared cell as the loop of 70 calls, and '
        'each cell as its own loop',
        (*columns, *ratios),
        [(row['size'], *row['milliseconds'], *row['speedups']) for row in rows],
    )
    report.table(
        'MiB kept for the backward pass, and seconds to make the operators, once',
        (*columns, 'ratio', 'made per edge', 'made shared'),
        [(row['size'], *row['mebibytes'], row['saved_ratio'], *row['made']) for row in rows],
    )
    large = [row['speedups'] for row in rows if row['side'] > 64]
    small = [row['speedups'] for row in rows if row['side'] <= 64]
    report.metric('speedup_over_loop', min(speedups[0] for speedups in large))
    report.metric('speedup_over_loop_64', min(speedups[0] for speedups in small))
    report.metric('speedup_per_edge', min(speedups[1] for speedups in large))
    report.metric('speedup_per_edge_64', min(speedups[1] for speedups in small))
    report.metric('speedup_shared_loop', min(speedups[2] for speedups in small + large))
    report.metric('saved_bytes_ratio', max(row['saved_ratio'] for row in rows))
    return report


def race_size(side: int, batch: int, settings: Settings) -> dict:
    """Measurements at one size."""
    shared, per_edge = (make_cell(share, settings.device) for share in (True, False))
    alike = make_cell(False, settings.device)  # strengths per edge that are all the shared ones: what 70 calls compute
    alike.fixed_strengths.copy_(shared.fixed_strengths.expand_as(alike.fixed_strengths))
    images = torch.rand(batch, 3, side, side, device=settings.device)
    grad = torch.randn(batch, 3 * FRAMES, side, side, device=settings.device)
    made = [seconds_of_first_call(cell, images) for cell in (per_edge, shared)]
    forwards = {
        'loop of 70': (alike, alike._loop),
        'mmdas, strength per edge': (per_edge, per_edge),
        'loop, shared': (shared, shared._loop),
        'mmdas, shared': (shared, shared),
        'loop, strength per edge': (per_edge, per_edge._loop),
    }
    steps = {name: forward_and_backward(cell, form, images, grad) for name, (cell, form) in forwards.items()}
    tolerance = dict(rtol=1e-3, atol=1e-4 * grad.numel() ** 0.5)
    check_equal({name: steps[name]() for name in ('loop of 70', 'loop, shared', 'mmdas, shared')}, **tolerance)
    if side == SIZES[0][0]:  # the largest loop is too long to be run for this alone
        check_equal(
            {name: steps[name]() for name in ('loop, strength per edge', 'mmdas, strength per edge')}, **tolerance
        )
    names = ('loop of 70', 'mmdas, strength per edge', 'loop, shared', 'mmdas, shared')
    timings = race({name: steps[name] for name in names}, rounds=2 if settings.quick else 7, device=settings.device)
    saved = [saved_bytes(lambda form=forwards[name][1]: form(images)) for name in names]
    return {
        'size': f'{side} B{batch}',
        'side': side,
        'milliseconds': [1e3 * timings[name].median for name in names],
        'speedups': (
            ratio(timings['loop of 70'], timings['mmdas, shared']),
            ratio(timings['loop of 70'], timings['mmdas, strength per edge']),  # the two loops make equal calls
            ratio(timings['loop, shared'], timings['mmdas, shared']),
        ),
        'mebibytes': [count / MEBIBYTE for count in saved],
        'saved_ratio': max(saved[1] / saved[0], saved[3] / saved[0]),
        'made': made,
    }


def make_cell(share_strength: bool, device: torch.device) -> DASCell:
    """The paper's cell with the ranges of the search configs."""
    return DASCell(FRAMES, share_strength=share_strength, ranges=RANGES).to(device)


def seconds_of_first_call(cell: DASCell, images: Tensor) -> float:
    """Seconds of a first forward and backward pass, which make the operators."""
    start = time.perf_counter()
    cell(images).sum().backward()
    cell.logits.grad = None
    return time.perf_counter() - start


def forward_and_backward(
    cell: DASCell, form: Callable[[Tensor], Tensor], images: Tensor, grad: Tensor
) -> Callable[[], tuple[Tensor, Tensor]]:
    """Function that gives the clip and the gradient of the logits."""

    def step() -> tuple[Tensor, Tensor]:
        clip = form(images)
        return clip, torch.autograd.grad(clip, cell.logits, grad)[0]

    return step
