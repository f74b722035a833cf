"""A1: weighted sums of K warps of one batch, forward and backward, against kornia, torchvision and plain sampling."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as v2

from benchmarks.harness import Report, Settings, check_equal, copy_bandwidth, forward_and_backward, race, ratio
from benchmarks.warps import is_installed, kornia_warp, pixel_matrices
from mmdas.ops import affine
from mmdas.ops.clip import image_to_table, table_to_time_major
from mmdas.ops.mixed_warps import mix_warps
from mmdas.ops.warp_operator import WarpOperator

TITLE = 'warp bank: frame_t = sum_k w[t, k] warp_k(image), forward and backward'
METRICS = (
    'speedup_over_kornia',
    'speedup_over_torchvision',
    'speedup_over_torchvision_512',
    'speedup_over_one_grid_sample',
    'ratio_to_traffic_limit',
)
FRAMES = 8
SIZES = ((32, 128), (64, 64), (224, 8), (512, 2))  # (side, batch)
QUICK_SIZES = ((32, 128), (224, 8), (512, 2))
WARPS = (5, 16)
KINDS = (('translate_x', 0.03), ('rotate', 4.0), ('scale', 0.04), ('translate_y', -0.02))
Warp = tuple[str, float]  # name and strength of an operation
Mix = Callable[[Tensor, Tensor], Tensor]  # (B, C, H, W), (T, K) -> (T, B, C, H, W)


def run(settings: Settings) -> Report:
    """Time all sizes and numbers of warps, with and without the gradient of the images."""
    bandwidth, contestants = copy_bandwidth(settings.device), ['one grid_sample', 'torchvision']
    if is_installed('kornia'):
        contestants.append('kornia')
    rows, speedups, limits = [], {}, []
    for side, batch in QUICK_SIZES if settings.quick else SIZES:
        for count in WARPS:
            for with_images in (False,) if settings.quick else (False, True):
                row, found, limit = race_size(side, batch, count, with_images, contestants, bandwidth, settings)
                rows.append(row)
                limits.append(limit)
                for name, value in found.items():
                    key = f'{name}_512' if name == 'torchvision' and side == 512 else name.replace(' ', '_')
                    speedups.setdefault(key, []).append(value)
    report = Report()
    columns = ['size', 'K', 'gradient of', 'limit', 'mmdas', *contestants, 'mmdas, tables']
    columns += [f'x {name}' for name in contestants]
    report.table(
        f'milliseconds, median (min), T = {FRAMES}; limit: traffic at {bandwidth / 1e9:.1f} GB/s; tables: '
        'without the way from images and back, gradient of the weights alone; made: the operator, once',
        [*columns, '/ limit', 'made'],
        rows,
    )
    for name, values in speedups.items():
        report.metric(f'speedup_over_{name}', min(values))
    report.metric('ratio_to_traffic_limit', max(limits))
    return report


def race_size(
    side: int,
    batch: int,
    count: int,
    with_images: bool,
    contestants: Sequence[str],
    bandwidth: float,
    settings: Settings,
) -> tuple[tuple, dict[str, float], float]:
    """One row of the table, the speed-ups by contestant, and the ratio to the traffic limit."""
    images = torch.rand(batch, 3, side, side, device=settings.device, requires_grad=with_images)
    weights = torch.rand(FRAMES, count, device=settings.device).softmax(dim=1).requires_grad_()
    grad = torch.randn(FRAMES, *images.shape, device=settings.device)
    inputs = (weights, images) if with_images else (weights,)
    warps, size = make_warps(count), (side, side)
    start = time.perf_counter()
    ours = mix_by_operator(warps, size, settings.device)
    made = time.perf_counter() - start
    forms = {'mmdas': ours, **{name: FORMS[name](warps, size, settings.device) for name in contestants}}
    steps = {name: forward_and_backward(partial(form, images, weights), inputs, grad) for name, form in forms.items()}
    # A gradient of a weight sums up as many products as a frame has values, each of magnitude one.
    results = {name: step() for name, step in steps.items()}
    check_equal({name: result[0] for name, result in results.items()}, rtol=0, atol=5e-3)
    check_equal({name: result[1:] for name, result in results.items()}, rtol=2e-3, atol=2e-4 * images.numel() ** 0.5)
    del results
    steps['mmdas, tables'] = tables_by_operator(make_operator(warps, size, settings.device), images, weights, grad)
    timings = race(steps, rounds=3 if settings.quick else 15, warmup=1, device=settings.device)
    # Forward reads the images and writes T frames, backward reads T gradients and the images and writes the gradient.
    limit = (2 * FRAMES + 2 + with_images) * images.nbytes / bandwidth
    speedups = {name: ratio(timings[name], timings['mmdas']) for name in contestants}
    over_limit = timings['mmdas'].median / limit
    milliseconds = [timing.milliseconds for timing in timings.values()]
    names = 'weights and images' if with_images else 'weights'
    row = (f'{side} B{batch}', count, names, 1e3 * limit, *milliseconds, *speedups.values(), over_limit, 1e3 * made)
    return row, speedups, over_limit


def make_warps(count: int) -> list[Warp]:
    """Translations, rotations and scalings of growing strength."""
    return [(name, strength * (1 + k // len(KINDS))) for k, (name, strength) in zip(range(count), cycle(KINDS))]  # noqa: B905


def matrices_of(warps: Sequence[Warp], size: tuple[int, int], device: torch.device) -> Tensor:
    """(K, 2, 3) of ``warp_affine``."""
    theta = [
        getattr(affine, f'{name}_matrix')(torch.tensor([value], dtype=torch.float64), size) for name, value in warps
    ]
    return torch.cat(theta).float().to(device)


def make_operator(warps: Sequence[Warp], size: tuple[int, int], device: torch.device) -> WarpOperator:
    """The taps of all warps of an image."""
    return WarpOperator(list(matrices_of(warps, size, device).unsqueeze(1)), 1, size, device=device)


def tables_by_operator(
    operator: WarpOperator, images: Tensor, weights: Tensor, grad: Tensor
) -> Callable[[], tuple[Tensor, ...]]:
    """Forward and backward pass as within a cell, where pixels are rows before and after."""
    table, *grads = (image_to_table(frame).contiguous() for frame in (images.detach(), *grad))

    def step() -> tuple[Tensor, ...]:
        tables = mix_warps(table, weights, operator)
        return *tables, *torch.autograd.grad(tables, weights, grads)

    return step


def mix_by_operator(warps: Sequence[Warp], size: tuple[int, int], device: torch.device) -> Mix:
    """The warps' taps are found once; a sum of warps is then one pass."""
    operator = make_operator(warps, size, device)

    def mix(images: Tensor, weights: Tensor) -> Tensor:
        tables = torch.cat(mix_warps(image_to_table(images), weights, operator))
        return table_to_time_major(tables, images.shape).contiguous()

    return mix


def mix_by_grid_sample(warps: Sequence[Warp], size: tuple[int, int], device: torch.device) -> Mix:
    """One call for all warps, the batch folded into the channels and the grids made once; then a matrix product."""
    theta = matrices_of(warps, size, device)
    grid = F.affine_grid(theta, (len(theta), 1, *size), align_corners=False)

    def mix(images: Tensor, weights: Tensor) -> Tensor:
        folded = images.flatten(0, 1).expand(len(theta), -1, -1, -1)
        warped = F.grid_sample(folded, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
        return (weights @ warped.flatten(1)).view(-1, *images.shape)

    return mix


def mix_by_kornia(warps: Sequence[Warp], size: tuple[int, int], device: torch.device) -> Mix:
    """One call of ``warp_affine`` per warp."""
    matrices = pixel_matrices(matrices_of(warps, size, device), size)

    def mix(images: Tensor, weights: Tensor) -> Tensor:
        warped = [kornia_warp(images, matrix.expand(len(images), 2, 3)) for matrix in matrices]
        return (weights @ torch.stack(warped).flatten(1)).view(-1, *images.shape)

    return mix


def mix_by_torchvision(warps: Sequence[Warp], size: tuple[int, int], device: torch.device) -> Mix:
    """One call of the functional ``affine`` (v2) per warp."""
    height, width = size

    def warp(images: Tensor, name: str, strength: float) -> Tensor:
        translate = [strength * width * (name == 'translate_x'), strength * height * (name == 'translate_y')]
        angle = -strength if name == 'rotate' else 0.0
        scale = 1 + strength if name == 'scale' else 1.0
        return v2.affine(images, angle, translate, scale, shear=[0.0, 0.0], interpolation=InterpolationMode.BILINEAR)

    def mix(images: Tensor, weights: Tensor) -> Tensor:
        warped = [warp(images, name, strength) for name, strength in warps]
        return (weights @ torch.stack(warped).flatten(1)).view(-1, *images.shape)

    return mix


FORMS = {'one grid_sample': mix_by_grid_sample, 'kornia': mix_by_kornia, 'torchvision': mix_by_torchvision}
