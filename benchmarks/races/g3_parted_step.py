"""G3: the training step of clips whose frames part late (TSM, random policy) against the plain step."""

import time
from dataclasses import dataclass

import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from benchmarks.harness import Report, Settings, race, ratio
from benchmarks.hosts import CLASSIFIERS, make_batch, train_step
from mmdas.apis import DASOptions, convert, load_config, preprocessor_of
from mmdas.registry import MODELS
from mmdas.search.das import Policy

TITLE = 'training step with frames that part behind a stage (TSM, random policy) against the plain step'
METRICS = ('clip_step_t4', 'clip_step_t8')
FRAMES = (4, 8)
SMALL = 'benchmarks/accuracy/hosts/cifar10.py'
HOSTS = {'R18 of CIFAR-10, quarter width': SMALL, **CLASSIFIERS}
WHOLE = 'whole clip'
COLUMNS = ('host', 'T', 'parted after', 'plain, ms', 'step, ms', 'step / plain')


@dataclass(frozen=True)
class Case:
    """A host with its batch, and the places at which its frames part.

    Args:
        host: of ``HOSTS``.
        side: of the images in pixels.
        batch: B.
        places: paths in the backbone; the last one is that of the metrics.
    """

    host: str
    side: int
    batch: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class Sizes:
    """What is raced: cases, and rounds."""

    cases: tuple[Case, ...]
    rounds: int


SMALL_CASE = Case('R18 of CIFAR-10, quarter width', 32, 64, ('layer1', 'layer2', 'layer3.0'))  # of three stages
PLACES = ('layer3', 'layer4.0')
FULL = Sizes((SMALL_CASE, Case('classifier R18', 224, 32, PLACES), Case('classifier R50', 224, 32, PLACES)), 9)
# Without a GPU the full sizes take hours.
FULL_CPU = Sizes((SMALL_CASE, Case('classifier R18', 128, 8, PLACES), Case('classifier R50', 128, 4, PLACES)), 7)
QUICK = Sizes((SMALL_CASE, Case('classifier R18', 96, 4, PLACES), Case('classifier R50', 96, 4, PLACES)), 5)


def run(settings: Settings) -> Report:
    """Time all hosts; the metrics are those of the worst, parted after the first block of the last stage."""
    sizes = QUICK if settings.quick else FULL if settings.device.type == 'cuda' else FULL_CPU
    found = {case: race_case(case, sizes.rounds, settings.device) for case in sizes.cases}
    report = Report()
    rows = [
        (
            f'{case.host}, {case.side} x {case.side}, batch {case.batch}',
            *key,
            timings['plain'].milliseconds,
            timing.milliseconds,
            ratio(timing, timings['plain']),
        )
        for case, timings in found.items()
        for key, timing in timings.items()
        if isinstance(key, tuple)
    ]
    what = 'a step: data preprocessor, forward, backward, SGD; CPU seconds without a GPU; median (minimum)'
    report.table(what, COLUMNS, rows)
    for frames in FRAMES:
        worst = max(ratio(timings[frames, case.places[-1]], timings['plain']) for case, timings in found.items())
        report.metric(f'clip_step_t{frames}', worst)
    return report


def race_case(case: Case, rounds: int, device: torch.device) -> dict:
    """Timings of the steps of a case by (T, place), and of the plain one."""
    images = make_images(case, case.batch)
    models: dict = {'plain': build(case.host, device=device)}
    for frames in FRAMES:
        for place in (WHOLE, *case.places):
            models[frames, place] = build(case.host, frames, None if place == WHOLE else place, device)
    steps = {key: train_step(model, images) for key, model in models.items()}
    # A ratio of steps, which on the CPU should not depend on what else it does.
    clock = time.perf_counter if device.type == 'cuda' else time.process_time
    return race(steps, rounds, device=device, clock=clock)


def make_images(case: Case, images: int) -> dict[str, list]:
    """Images and labels of a host."""
    batch = make_batch('classifier', images, case.side)
    if HOSTS[case.host] == SMALL:  # which has ten classes
        for sample in batch['data_samples']:
            sample.set_gt_label(sample.gt_label % 10)
    return batch


def build(host: str, frames: int = 1, place: str | None = None, device: torch.device | str = 'cpu') -> nn.Module:
    """The model of a host as a user converts its config, with a random policy; plain with one frame."""
    cfg = load_config(HOSTS[host])
    if frames > 1:
        cfg = convert(cfg, 'repeat', DASOptions(frames, 'tsm', part_after=place))
        preprocessor_of(cfg).policy = Policy.random(frames).to_dict()
    MMLogger.get_current_instance().setLevel('WARNING')  # not a line for every parameter
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build({**cfg.model, 'data_preprocessor': preprocessor_of(cfg)})
        model.init_weights()
    return model.to(device)
