"""M1: the training step of a plain model whose batches are mixed or hidden in part against the plain step."""

from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.hosts import SEGMENTORS, build_model, make_batch, train_step

TITLE = 'training step with Mixup, CutMix, Hide-and-Seek and Puzzle Mix against the plain step'
STEPS = {
    'classification': {
        'Mixup': {'type': 'mmdas.Mixup'},
        'CutMix': {'type': 'mmdas.CutMix'},
        'Hide-and-Seek': {'type': 'mmdas.HideAndSeek'},
        'Puzzle Mix': {'type': 'mmdas.PuzzleMix'},
        'Puzzle Mix, half of the images': {'type': 'mmdas.PuzzleMix', 'probability': 0.5},
        'Puzzle Mix, resolution 0.5': {'type': 'mmdas.PuzzleMix', 'resolution': 0.5},
    },
    'segmentation': {
        'CutMix': {'type': 'mmdas.SegCutMix', 'probability': 1.0},
        'Hide-and-Seek': {'type': 'mmdas.HideAndSeek'},
        'Puzzle Mix': {'type': 'mmdas.PuzzleMix'},
        'Puzzle Mix, resolution 0.5': {'type': 'mmdas.PuzzleMix', 'resolution': 0.5},
    },
}
METRICS = ('cheap_mix_over_plain', 'puzzle_mix_over_plain', 'seg_puzzle_mix_over_plain')


@dataclass(frozen=True)
class Sizes:
    """What is raced: (host, side of the crop, batch), and rounds."""

    hosts: tuple[tuple[str, int, int], ...]
    rounds: int


FULL = Sizes(hosts=(('classifier R18', 224, 32), ('PSPNet R18', 512, 2)), rounds=9)
# Without a GPU the full sizes take hours.
FULL_CPU = Sizes(hosts=(('classifier R18', 96, 16), ('PSPNet R18', 128, 2)), rounds=12)
QUICK = Sizes(hosts=(('classifier R18', 64, 8), ('PSPNet R18', 64, 2)), rounds=8)


def run(settings: Settings) -> Report:
    """Time all hosts."""
    sizes = QUICK if settings.quick else FULL if settings.device.type == 'cuda' else FULL_CPU
    report, worst = Report(), dict.fromkeys(METRICS, 0.0)
    for name, side, batch in sizes.hosts:
        task = 'segmentation' if name in SEGMENTORS else 'classification'
        found = race_host(name, side, batch, sizes.rounds, settings.device)
        rows = [(kind, timing.milliseconds, ratio(timing, found['plain'])) for kind, timing in found.items()]
        title = f'{name}, {side} x {side}, batch {batch}: a step with its data preprocessor; median (minimum)'
        report.table(title, ('batches', 'ms', '/ plain'), rows)
        for kind in STEPS[task]:
            metric = metric_of(task, kind)
            if metric:
                worst[metric] = max(worst[metric], ratio(found[kind], found['plain']))
    for metric, value in worst.items():
        report.metric(metric, value)
    return report


def metric_of(task: str, kind: str) -> str | None:
    """The metric that a step counts for."""
    if not kind.startswith('Puzzle Mix'):
        return 'cheap_mix_over_plain'
    if kind != 'Puzzle Mix':
        return None
    return 'puzzle_mix_over_plain' if task == 'classification' else 'seg_puzzle_mix_over_plain'


def race_host(name: str, side: int, batch: int, rounds: int, device: torch.device) -> dict[str, Timing]:
    """Timings of the steps of a host."""
    task = 'segmentation' if name in SEGMENTORS else 'classification'
    models = {'plain': build_model(name, side, device=device)}
    for kind, step in STEPS[task].items():
        models[kind] = mixing_model(name, side, device, step)
    images = make_batch(name, batch, side)
    return race({kind: train_step(model, images) for kind, model in models.items()}, rounds, device=device)


def mixing_model(name: str, side: int, device: torch.device, step: dict) -> Any:
    """The plain model with a data preprocessor that mixes."""
    segments = name in SEGMENTORS
    place = 'model.data_preprocessor' if segments else 'data_preprocessor'
    kind = 'mmdas.DASSegDataPreProcessor' if segments else 'mmdas.DASClsDataPreprocessor'
    model: Any = build_model(name, side, None, device, {f'{place}.type': kind, f'{place}.augments': [step]})
    model.data_preprocessor.augments.use_model(model)
    return model
