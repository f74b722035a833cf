"""T1: the step of a plain student with a teacher of DAS (T = 4, TSM) or with cached logits, against the plain step."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.hosts import SEGMENTORS, build_model, make_batch, train_step
from mmdas.models.distillation import CachedLogits, Distillation, KLDistillation, Teacher, distil

TITLE = 'training step of a plain student with a teacher of DAS (T = 4, TSM) against the plain step'
METRICS = ('distil_step_over_plain', 'plain_teacher_step_over_plain', 'cached_step_over_plain')
FRAMES = 4
CLASSES = 1000
TSM = {'model.backbone.fusion': {'type': 'mmdas.TemporalShift'}}
COLUMNS = (
    *('host', 'plain, ms', 'plain teacher, ms', 'teacher of DAS, ms', 'cached logits, ms'),
    *('plain teacher / plain', 'DAS / plain', 'cached / plain'),
)

KINDS = ('plain', 'taught by plain', 'taught by DAS', 'taught from a cache')


@dataclass(frozen=True)
class Sizes:
    """What is raced: (host, side of the crop, batch), and rounds."""

    hosts: tuple[tuple[str, int, int], ...]
    rounds: int


FULL = Sizes(hosts=(('classifier R18', 224, 32), ('PSPNet R18', 512, 2)), rounds=9)
# Without a GPU the full sizes take hours.
FULL_CPU = Sizes(hosts=(('classifier R18', 96, 16), ('PSPNet R18', 128, 2)), rounds=9)
QUICK = Sizes(hosts=(('classifier R18', 64, 8), ('PSPNet R18', 96, 2)), rounds=6)


def run(settings: Settings) -> Report:
    """Time all hosts; the metrics are those of the worst."""
    sizes = QUICK if settings.quick else FULL if settings.device.type == 'cuda' else FULL_CPU
    found = {host: race_host(*host, sizes.rounds, settings.device) for host in sizes.hosts}
    report = Report()
    rows = [
        (
            f'{name}, {side} x {side}, batch {batch}',
            *(timing[kind].milliseconds if kind in timing else None for kind in KINDS),
            *(ratio(timing[kind], timing['plain']) if kind in timing else None for kind in KINDS[1:]),
        )
        for (name, side, batch), timing in found.items()
    ]
    report.table('a step: data preprocessor, forward, backward, SGD; median (minimum)', COLUMNS, rows)
    for metric, kind in zip(METRICS, ('taught by DAS', 'taught by plain', 'taught from a cache'), strict=True):
        report.metric(metric, max(ratio(t[kind], t['plain']) for t in found.values() if kind in t))
    return report


def race_host(name: str, side: int, batch: int, rounds: int, device: torch.device) -> dict[str, Timing]:
    """Timings of the steps of a host; only classifiers learn from cached logits."""
    plain = build_model(name, side, device=device)
    das = build_model(name, side, FRAMES, device, TSM)
    place = 'decode_head' if name in SEGMENTORS else 'head'
    students = {'plain': plain}
    for kind, teacher in (('taught by plain', copy.deepcopy(plain)), ('taught by DAS', das)):
        students[kind] = copy.deepcopy(plain)
        distil(students[kind], Distillation([Teacher(teacher)], [KLDistillation()], place))
    images = make_batch(name, batch, side)
    if name not in SEGMENTORS:
        students['taught from a cache'] = learn_from_cache(plain, images)
    return race({kind: train_step(model, images) for kind, model in students.items()}, rounds, device=device)


def learn_from_cache(plain: nn.Module, images: dict[str, list]) -> nn.Module:
    """A student of cached logits, as of a data set of these images, whose samples get their numbers."""
    for number, sample in enumerate(images['data_samples']):
        sample.set_field(number, 'sample_idx', field_type='metainfo')
    distillation = Distillation([Teacher(copy.deepcopy(plain))], [KLDistillation()], 'head')
    distillation.cached = CachedLogits(torch.randn(len(images['data_samples']), CLASSES).half())
    student = copy.deepcopy(plain)
    distil(student, distillation)
    return student
