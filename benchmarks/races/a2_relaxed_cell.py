"""A2: the relaxed cell of a search, forward and backward, against its plain loop."""

import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import MEBIBYTE, Report, Settings, check_equal, forward_and_backward, race, ratio, saved_bytes
from benchmarks.warps import RANGES
from mmdas.search.das import DASCell

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
SIZES = ((32, 64), (64, 64), (224, 4), (380, 2))  # (side, batch)


def run(settings: Settings) -> Report:
    """Time all sizes."""
    rows = [race_size(side, batch, settings) for side, batch in SIZES]
    report = Report()
    columns = ('size', 'loop of 70', 'mmdas, strength per edge', 'loop, shared', 'mmdas, shared')
    ratios = ('x loop of 70', 'per edge', 'shared')
    report.table(
        f'milliseconds, median (min), T = {FRAMES}; how many times as fast: the shared cell as the loop of 70 calls, '
        'and each cell as its own loop',
        (*columns, *ratios),
        [(row['size'], *row['milliseconds'], *row['speedups']) for row in rows],
    )
    report.table(
        'MiB kept for the backward pass; MiB of the operators, kept for an image size, and CPU seconds of the first '
        'step, which makes them',
        (*columns, 'ratio', 'operators per edge', 'operators, shared', 'first step per edge', 'first step, shared'),
        [(row['size'], *row['mebibytes'], row['saved_ratio'], *row['operators'], *row['made']) for row in rows],
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
        'mmdas, strengths alike': (alike, alike),
    }
    steps = {
        name: forward_and_backward(partial(form, images), [cell.logits], grad)
        for name, (cell, form) in forwards.items()
    }
    same = ('loop of 70', 'loop, shared', 'mmdas, shared', 'mmdas, strengths alike')
    check_steps({name: steps[name] for name in same})
    if side == SIZES[0][0]:  # the largest loop is too long to be run for this alone
        check_steps({name: steps[name] for name in ('loop, strength per edge', 'mmdas, strength per edge')})
    names = ('loop of 70', 'mmdas, strength per edge', 'loop, shared', 'mmdas, shared')
    timings = race({name: steps[name] for name in names}, rounds=2 if settings.quick else 7, device=settings.device)
    saved = [saved_bytes(lambda form=forwards[name][1]: form(images)) for name in names]
    return {
        'size': f'{side} B{batch}',
        'side': side,
        'milliseconds': [timings[name].milliseconds for name in names],
        'speedups': (
            ratio(timings['loop of 70'], timings['mmdas, shared']),
            ratio(timings['loop of 70'], timings['mmdas, strength per edge']),  # the two loops make equal calls
            ratio(timings['loop, shared'], timings['mmdas, shared']),
        ),
        'mebibytes': [count / MEBIBYTE for count in saved],
        'saved_ratio': max(saved[1] / saved[0], saved[3] / saved[0]),
        'operators': [operator_bytes(cell) / MEBIBYTE for cell in (per_edge, shared)],
        'made': made,
    }


def check_steps(steps: Mapping[str, Callable[[], list[Tensor]]]) -> None:
    """Compare clips, with values from 0 to 1, and gradients, sums of as many products as a clip has values."""
    results = {name: step() for name, step in steps.items()}
    check_equal({name: clip for name, (clip, _) in results.items()}, rtol=0, atol=1e-3)
    size = next(iter(results.values()))[0].numel()
    check_equal({name: grad for name, (_, grad) in results.items()}, rtol=1e-3, atol=1e-4 * size**0.5)


def operator_bytes(cell: DASCell) -> int:
    """Bytes of the operators that a cell keeps."""
    kept = cell._operators._entries.values()
    return sum(
        part.nbytes for operators in kept for part in (operators if isinstance(operators, list) else [operators])
    )


def make_cell(share_strength: bool, device: torch.device) -> DASCell:
    """The paper's cell with the ranges of the search configs."""
    return DASCell(FRAMES, share_strength=share_strength, ranges=RANGES).to(device)


def seconds_of_first_call(cell: DASCell, images: Tensor) -> float:
    """CPU seconds of a first forward and backward pass, which make the operators, on a machine that may be busy."""
    start = time.process_time()
    cell(images).sum().backward()
    cell.logits.grad = None
    return time.process_time() - start
