"""D1: training segmentors of MMSegmentation with DAS against their plain configs: images per second and memory."""

import functools
from dataclasses import dataclass

import torch

from benchmarks.harness import MEBIBYTE, Report, Settings, race, ratio
from benchmarks.hosts import (
    SEGMENTORS,
    build_model,
    check_same_prediction,
    make_batch,
    memory_kind,
    share_weights,
    train_step,
    training_memory,
)

TITLE = 'training segmentors with DAS (random policy, GSF) against the plain configs'
METRICS = ('efficiency', 'efficiency_1f', 'memory_ratio', 'efficiency_equal_passes')
COLUMNS = (
    'host, T',
    'DAS, images/s',
    'plain at B, images/s',
    'plain at B*T, passes/s',
    'T * DAS / plain at B',
    'DAS / plain at B*T',
    'DAS, MiB',
    'plain at B*T, MiB',
    'memory ratio',
)


@dataclass(frozen=True)
class Sizes:
    """What is raced: hosts, numbers of frames, B, side of the crop, rounds."""

    hosts: tuple[str, ...]
    frames: tuple[int, ...]
    batch: int
    side: int
    rounds: int


FULL = Sizes(hosts=tuple(SEGMENTORS), frames=(1, 2, 4, 8), batch=2, side=512, rounds=9)
# Without a GPU the full sizes take hours.
FULL_CPU = Sizes(hosts=tuple(SEGMENTORS), frames=(1, 2, 4, 8), batch=2, side=128, rounds=9)
QUICK = Sizes(hosts=('PSPNet R18', 'DeepLabV3+ R18'), frames=(1, 4), batch=2, side=96, rounds=9)


@dataclass(frozen=True)
class Result:
    """Numbers of one host and T; rates in images or passes per second, memory in bytes."""

    name: str
    frames: int
    das: float
    plain: float
    plain_passes: float
    efficiency: float
    equal_passes: float
    das_bytes: int
    plain_bytes: int

    @property
    def memory_ratio(self) -> float:
        """Memory of DAS at (B, T) over the plain one's at batch B*T."""
        return self.das_bytes / self.plain_bytes

    def row(self) -> tuple:
        """One line of the table."""
        rates = (self.das, self.plain, self.plain_passes, self.efficiency, self.equal_passes)
        memory = (self.das_bytes / MEBIBYTE, self.plain_bytes / MEBIBYTE, self.memory_ratio)
        return f'{self.name}, T={self.frames}', *rates, *memory


def run(settings: Settings) -> Report:
    """Time and measure all hosts and numbers of frames."""
    sizes = QUICK if settings.quick else FULL if settings.device.type == 'cuda' else FULL_CPU
    results = [race_host(name, frames, sizes, settings.device) for name in sizes.hosts for frames in sizes.frames]
    report = Report()
    title = f'B = {sizes.batch}, crops of {sizes.side}x{sizes.side}; memory: {memory_kind(settings.device)}'
    report.table(title, COLUMNS, [result.row() for result in results])
    several = [result for result in results if result.frames > 1]
    report.metric('efficiency', min(result.efficiency for result in several))
    report.metric('efficiency_1f', min(result.efficiency for result in results if result.frames == 1))
    report.metric('memory_ratio', max(result.memory_ratio for result in results))
    report.metric('efficiency_equal_passes', min(result.equal_passes for result in several))
    return report


def race_host(name: str, frames: int, sizes: Sizes, device: torch.device) -> Result:
    """Memory first, one model at a time, then the steps against each other."""
    batch, large = (make_batch(name, images, sizes.side) for images in (sizes.batch, sizes.batch * frames))
    build = functools.partial(build_model, name, sizes.side, device=device)
    das_bytes = training_memory(functools.partial(build, frames), batch, device)
    plain_bytes = training_memory(build, large, device)
    plain, das = build(), build(frames)
    share_weights(plain, das)
    check_same_prediction(plain, das, frames, sizes.side)
    steps = {'das': train_step(das, batch), 'plain': train_step(plain, batch)}
    if frames > 1:
        steps['plain B*T'] = train_step(plain, large)
    timings = race(steps, sizes.rounds, device=device)
    passes = timings.get('plain B*T', timings['plain'])
    return Result(
        name=name,
        frames=frames,
        das=sizes.batch / timings['das'].median,
        plain=sizes.batch / timings['plain'].median,
        plain_passes=sizes.batch * frames / passes.median,
        efficiency=frames * ratio(timings['plain'], timings['das']),
        equal_passes=ratio(passes, timings['das']),
        das_bytes=das_bytes,
        plain_bytes=plain_bytes,
    )
