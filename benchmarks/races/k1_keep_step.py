"""K1: the training step with KeepCutout, by each source of saliency, against the plain step."""

from dataclasses import dataclass

import torch

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.hosts import SEGMENTORS, build_model, make_batch, train_step

TITLE = 'training step with KeepCutout, which looks at every image, against the plain step'
SOURCES = ('full', 'low', 'early')
METRICS = tuple(f'{source}_over_plain' for source in SOURCES)
COLUMNS = ('host', 'plain, ms', *(f'{source}, ms' for source in SOURCES), *(f'{source} / plain' for source in SOURCES))


@dataclass(frozen=True)
class Sizes:
    """What is raced: (host, side of the crop, batch), and rounds."""

    hosts: tuple[tuple[str, int, int], ...]
    rounds: int


FULL = Sizes(hosts=(('classifier R18', 224, 128), ('classifier R50', 224, 64), ('PSPNet R18', 512, 8)), rounds=9)
# Without a GPU the full sizes take hours.
FULL_CPU = Sizes(hosts=(('classifier R18', 160, 16), ('classifier R50', 160, 8), ('PSPNet R18', 256, 2)), rounds=9)
QUICK = Sizes(hosts=(('classifier R18', 128, 8), ('PSPNet R18', 128, 2)), rounds=6)


def run(settings: Settings) -> Report:
    """Time all hosts; the metrics are those of the worst."""
    sizes = QUICK if settings.quick else FULL if settings.device.type == 'cuda' else FULL_CPU
    found = {host: race_host(*host, sizes.rounds, settings.device) for host in sizes.hosts}
    report = Report()
    rows = [
        (
            f'{name}, {side} x {side}, batch {batch}',
            *(timing[kind].milliseconds for kind in ('plain', *SOURCES)),
            *(ratio(timing[source], timing['plain']) for source in SOURCES),
        )
        for (name, side, batch), timing in found.items()
    ]
    report.table('a step: data preprocessor, forward, backward, SGD; median (minimum)', COLUMNS, rows)
    for source, metric in zip(SOURCES, METRICS, strict=True):
        report.metric(metric, max(ratio(timing[source], timing['plain']) for timing in found.values()))
    return report


def race_host(name: str, side: int, batch: int, rounds: int, device: torch.device) -> dict[str, Timing]:
    """Timings of the four steps of a host."""
    models = {'plain': build_model(name, side, device=device)}
    for source in SOURCES:
        models[source] = build_model(name, side, device=device, options=keep_options(name, source))
        models[source].data_preprocessor.augments.use_model(models[source])
    images = make_batch(name, batch, side)
    return race({kind: train_step(model, images) for kind, model in models.items()}, rounds, device=device)


def keep_options(name: str, source: str) -> dict[str, object]:
    """Settings that let a plain config train with KeepCutout."""
    segments = name in SEGMENTORS
    place = 'model.data_preprocessor' if segments else 'data_preprocessor'
    return {
        f'{place}.type': 'mmdas.DASSegDataPreProcessor' if segments else 'mmdas.DASClsDataPreprocessor',
        f'{place}.augments': [{'type': 'mmdas.KeepCutout', 'saliency': source}],
    }
