"""B1: the shift along time of TSM, forward and backward, against other ways to write it and against plain copies."""

from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Report, Settings, check_equal, forward_and_backward, race, ratio
from mmdas.models.fusion import TemporalShift

TITLE = 'temporal shift (TSM), forward and backward'
METRICS = ('ratio_to_two_copies', 'speedup_over_mmaction2')
FRAMES = 8
SIZES = ((16, 256, 56, 56), (64, 64, 56, 56), (64, 512, 7, 7))  # (B*T, C, h, w)
QUICK_SIZES = ((16, 256, 56, 56), (64, 512, 7, 7))
LAYOUTS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}


def run(settings: Settings) -> Report:
    """Time all sizes and layouts."""
    sizes = QUICK_SIZES if settings.quick else SIZES
    rows = [race_size(size, layout, settings) for size in sizes for layout in LAYOUTS]
    report = Report()
    report.table(
        f'milliseconds, median (min), of forward and backward, T = {FRAMES}',
        (
            'size',
            'layout',
            'two copies',
            'mmdas',
            'cat of pieces',
            'mmaction2',
            'original',
            '/ two copies',
            'x mmaction2',
        ),
        rows,
    )
    report.metric('ratio_to_two_copies', max(row[-2] for row in rows))
    report.metric('speedup_over_mmaction2', min(row[-1] for row in rows))
    return report


def race_size(size: tuple[int, int, int, int], layout: str, settings: Settings) -> tuple:
    """One row of the table."""
    x, grad = (torch.randn(size, device=settings.device).to(memory_format=LAYOUTS[layout]) for _ in range(2))
    x.requires_grad_()
    forms = {
        'mmdas': TemporalShift(size[1], FRAMES),
        'cat of pieces': shift_by_cat,
        'mmaction2': shift_by_buffers,
        'original': shift_by_assignment,
    }
    steps = {name: forward_and_backward(partial(form, x), [x], grad) for name, form in forms.items()}
    # Exact but for mmaction2's zeros, made as x - x, whose gradient rounds.
    check_equal({name: step() for name, step in steps.items()}, rtol=0, atol=1e-6)
    floor = {'two copies': lambda: (x.detach().clone(), grad.clone())}
    timings = race(floor | steps, rounds=15 if settings.quick else 50, warmup=2, device=settings.device)
    return (
        'x'.join(map(str, size)),
        layout,
        *(timing.milliseconds for timing in timings.values()),
        ratio(timings['mmdas'], timings['two copies']),
        ratio(timings['mmaction2'], timings['mmdas']),
    )


def shift_by_cat(x: Tensor) -> Tensor:
    """The usual form: split the channels, move each part by a concatenation along time, join them."""
    n = x.shape[1] // 8
    from_next, from_previous, rest = x.unflatten(0, (-1, FRAMES)).split([n, n, x.shape[1] - 2 * n], dim=2)
    gap = torch.zeros_like(from_next[:, :1])
    parts = [torch.cat([from_next[:, 1:], gap], dim=1), torch.cat([gap, from_previous[:, :-1]], dim=1), rest]
    return torch.cat(parts, dim=2).flatten(0, 1)


def shift_by_buffers(x: Tensor) -> Tensor:
    """mmaction2's form: pixels in one dimension, and for each part a buffer of zeros of the part's own size."""
    n = x.shape[1] // 8
    clips = x.flatten(2).unflatten(0, (-1, FRAMES))  # (B, T, C, h*w)
    from_next, from_previous, rest = clips[:, :, :n], clips[:, :, n : 2 * n], clips[:, :, 2 * n :]
    blank = (from_next - from_next)[:, :1]
    moved_back = torch.cat([from_next[:, 1:], blank], dim=1)
    blank = (from_previous - from_previous)[:, :1]
    moved_forth = torch.cat([blank, from_previous[:, :-1]], dim=1)
    return torch.cat([moved_back, moved_forth, rest], dim=2).view(x.shape)


def shift_by_assignment(x: Tensor) -> Tensor:
    """The original: assign slices of a tensor of zeros."""
    n = x.shape[1] // 8
    clips = x.unflatten(0, (-1, FRAMES))
    output = torch.zeros_like(clips)
    output[:, :-1, :n] = clips[:, 1:, :n]
    output[:, 1:, n : 2 * n] = clips[:, :-1, n : 2 * n]
    output[:, :, 2 * n :] = clips[:, :, 2 * n :]
    return output.flatten(0, 1)
