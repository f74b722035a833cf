"""G5: a prediction with T frames against a plain batch of B*T images, and which part of DAS costs what."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.hosts import build_model, check_same_prediction, make_batch, share_weights
from benchmarks.races.e1_inference import FULL_CPU, HOSTS, QUICK, Sizes, normalised

TITLE = 'inference with T frames against a plain batch of B*T images, data preprocessor included'
METRICS = ('inference_over_batch',)
FRAMES = (4, 8)
CONTESTANTS = ('plain B*T', 'DAS', 'DAS, equal frames', 'DAS, no fusion')


def run(settings: Settings) -> Report:
    """Time all hosts, batch sizes and numbers of frames."""
    sizes = QUICK if settings.quick else FULL_CPU
    cases = [(name, batch, frames) for name in HOSTS for batch in sizes.batches for frames in FRAMES]
    rows = [(case, race_host(*case, sizes, settings)) for case in cases]
    report = Report()
    report.table(
        'latency, median (min); and over the plain batch',
        ('host, images', 'T', *CONTESTANTS, *(f'{name} / plain' for name in CONTESTANTS[1:])),
        [line(case, sizes.sides[case[0]], timings) for case, timings in rows],
    )
    report.metric('inference_over_batch', max(over_plain(timings)['DAS'] for _, timings in rows))
    return report


def line(case: tuple[str, int, int], side: int, timings: Mapping[str, Timing]) -> tuple:
    """One line of the table."""
    name, batch, frames = case
    ratios = over_plain(timings)
    milliseconds = [timings[key].milliseconds for key in CONTESTANTS]
    return f'{name}, {batch}x{side}x{side}', frames, *milliseconds, *(ratios[key] for key in CONTESTANTS[1:])


def over_plain(timings: Mapping[str, Timing]) -> dict[str, float]:
    """How many times as long as the plain batch everything takes."""
    return {name: ratio(timing, timings['plain B*T']) for name, timing in timings.items()}


@torch.no_grad()
def race_host(name: str, batch: int, frames: int, sizes: Sizes, settings: Settings) -> dict[str, Timing]:
    """Timings of DAS as it is, without warps, and without fusion."""
    side, device = sizes.sides[name], settings.device
    plain, das = build_model(name, side, device=device), build_model(name, side, frames, device)
    share_weights(plain, das)
    check_same_prediction(plain, das, frames, side)  # leaves both in evaluation mode
    alike, apart = copy.deepcopy(das), copy.deepcopy(das)
    alike.data_preprocessor.policy = None
    for place in apart.backbone.fusion:
        leave_out(apart.backbone.fusion[place])
    small, large = make_batch(name, batch, side), make_batch(name, batch * frames, side)

    def predict(model: nn.Module, images: dict) -> Tensor:
        return model(normalised(model, images), mode='tensor')

    models = dict(zip(CONTESTANTS, (plain, das, alike, apart), strict=True))
    steps = {
        key: lambda model=model, images=large if model is plain else small: predict(model, images)
        for key, model in models.items()
    }
    # A policy's operator is made when a size has come eight times, as in a test set of one size.
    return race(steps, sizes.rounds, warmup=10, device=device)


def leave_out(fusion: nn.Module) -> None:
    """Let a fusion pass its features."""
    fusion.forward = lambda features: features
