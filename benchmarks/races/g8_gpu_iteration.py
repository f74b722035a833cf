"""G8: what fusion and warps add to an iteration on a GPU, eager and compiled, and GPU-hours of a fast search."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmengine.device import get_device
from torch import nn

from benchmarks.harness import Report, Settings, race, ratio
from benchmarks.races.c2_search_cost import CIFAR10, cost_of, timed_batch
from benchmarks.races.g3_parted_step import Case, make_images
from benchmarks.search_cost import total_hours
from benchmarks.search_hosts import CLASSIFIER, SearchHost, build_model
from mmdas.apis import DASOptions, convert, load_config, preprocessor_of, set_fast
from mmdas.search.das import Policy

TITLE = 'iteration of CIFAR-10, R18, T = 4, bfloat16: what fusion and warps add; GPU-hours of the fast search'
METRICS = ('gsf_over_none', 'warps_over_repeat', 'search_gpu_hours')
FRAMES = 4
HOST = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
SMALL = 'benchmarks/accuracy/hosts/cifar10.py'
SIDE = 32
NONE, WARPS = 'equal frames, no fusion', 'policy, no fusion'
CONTESTANTS = {'plain': ('', ''), NONE: ('none', 'repeat'), WARPS: ('none', 'das')}
CONTESTANTS |= {fusion.upper(): (fusion, 'repeat') for fusion in ('tsm', 'gsm', 'gsf')}
# Form of the model -> options of torch.compile.
FORMS: dict[str, dict | None] = {'eager': None, 'compiled': {}, 'CUDA graphs': {'mode': 'reduce-overhead'}}
COLUMNS = ('form', 'network', 'ms', '/ plain', '/ equal frames', 'first iterations, s')


@dataclass(frozen=True)
class Sizes:
    """What is raced.

    Args:
        host: config of the plain network.
        batch: images.
        forms: of ``FORMS``.
        rounds: measured.
    """

    host: str
    batch: int
    forms: tuple[str, ...]
    rounds: int


FULL = Sizes(HOST, 256, tuple(FORMS), 30)
# Without a GPU: the compiler of the CPU, no CUDA graphs, a part of the batch.
FULL_CPU = Sizes(SMALL, 32, ('eager', 'compiled'), 7)
QUICK = Sizes(SMALL, 16, ('eager',), 5)


def run(settings: Settings) -> Report:
    """Time all networks in all forms; the metrics are those of the fastest form of each network."""
    cuda = settings.device.type == 'cuda'
    sizes = FULL if cuda else QUICK if settings.quick else FULL_CPU
    report, best = Report(), {}
    rows = []
    for form in sizes.forms:
        steps, first = {}, {}
        for name in CONTESTANTS:
            steps[name] = make_step(sizes, name, FORMS[form], settings.device)
            first[name] = seconds_of_first(steps[name], settings.device)
        clock = time.perf_counter if cuda else time.process_time
        timings = race(steps, sizes.rounds, device=settings.device, clock=clock)
        for name, timing in timings.items():
            against = [ratio(timing, timings[other]) for other in ('plain', NONE)]
            rows.append((form, name, timing.milliseconds, *against, first[name]))
            best[name] = min(best.get(name, timing), timing, key=lambda found: found.median)
    batch = f'{sizes.batch} images of {SIDE} x {SIDE}'
    report.table(f'data preprocessor, forward, backward, SGD; {batch}; median (minimum)', COLUMNS, rows)
    report.metric('gsf_over_none', best['GSF'].median / best[NONE].median)
    report.metric('warps_over_repeat', best[WARPS].median / best[NONE].median)
    report.metric('search_gpu_hours', search_hours(CLASSIFIER, settings, report))
    return report


def make_step(sizes: Sizes, name: str, options: dict | None, device: torch.device) -> Callable[[], object]:
    """An iteration of a contestant in bfloat16; its backbone and its clip are compiled with the options, if any."""
    fusion, method = CONTESTANTS[name]
    cfg = load_config(sizes.host)
    if method:
        cfg = convert(cfg, method, DASOptions(FRAMES, fusion, policy='policy.json'))
    if method == 'das':
        preprocessor_of(cfg).policy = Policy.random(FRAMES).to_dict()
    model = build_model(cfg, device)
    if options is not None:
        compile_parts(model, options)
    batch = make_images(Case('R18 of CIFAR-10, quarter width', SIDE, sizes.batch, ()), sizes.batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        losses['loss'].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def compile_parts(model: nn.Module, options: dict) -> None:
    """Compile what the clips pass: what makes them, and the backbone."""
    model.backbone.compile(**options)
    clip = getattr(model.data_preprocessor, 'image_to_clip', None)
    if isinstance(clip, nn.Module):
        clip.compile(**options)


def seconds_of_first(step: Callable[[], object], device: torch.device, count: int = 3) -> float:
    """Wall seconds of the first iterations, compilation included."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def search_hours(host: SearchHost, settings: Settings, report: Report) -> float:
    """Hours of the fast search of a host at full width on this run's device, extrapolated as in C2."""
    cfg = convert(host.config('plain', full_width=True), 'search', DASOptions(FRAMES, 'gsf'))
    set_fast(cfg)
    batch, rounds = timed_batch(cfg.train_dataloader.batch_size, True, settings)
    costs = cost_of(cfg, CIFAR10, batch, rounds, settings)
    report.table(
        f'fast search, hours of {get_device()}, extrapolated from {rounds} iterations of every phase',
        ('phase', 'iterations', 'seconds each', 'hours'),
        [(cost.phase, cost.count, cost.seconds, cost.hours) for cost in costs],
    )
    return total_hours(costs)
