"""G1: an iteration of a search that steps its policy seldom, against a plain training step on the same images."""

from collections.abc import Callable

import torch

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.races.c1_search_step import Case, build_step, search_batches, training_step
from benchmarks.search_hosts import CLASSIFIER, FRAMES, SEGMENTOR
from mmdas.apis.fast_search import IMAGE_PART, POLICY_PART, take_any_frames
from mmdas.engine.image_steps import on_image

TITLE = 'amortised search step (policy every few iterations) against a plain training step on the same B*T images'
METRICS = ('search_step_over_plain', 'every_step_over_plain', 'fast_iteration_over_plain')
INTERVAL = 2  # of the steps of the policy
PLAIN, FAST, EVERY = 'plain', f'search, policy every {INTERVAL}', 'search, policy every time'
IMAGE, CLIP = 'search, weights on the image', 'search, weights on the clip'
CASES = (Case(CLASSIFIER, 64, 32), Case(SEGMENTOR, 8, 160))
CPU_CASES = (Case(CLASSIFIER, 4, 32), Case(SEGMENTOR, 2, 64))
QUICK_CASES = (Case(CLASSIFIER, 8, 32, full_width=False), Case(SEGMENTOR, 4, 64, full_width=False))
QUICK_ROUNDS, ROUNDS = 5, 10
WARMUP = 1 / 3  # of a default search, as in benchmarks/accuracy


def run(settings: Settings) -> Report:
    """Race both searches on both networks."""
    cases, rounds = (CASES if settings.device.type == 'cuda' else CPU_CASES), ROUNDS
    if settings.quick:
        cases, rounds = QUICK_CASES, QUICK_ROUNDS
    timings = {case: race(contestants(case, settings.device), rounds, device=settings.device) for case in cases}
    report = Report()
    report.table(
        f'T = {FRAMES}; {INTERVAL} iterations of each, of B images as clips or of B*T images',
        ('network, B x T x size', 'method', 'seconds an iteration', '/ plain'),
        [row for case, timing in timings.items() for row in rows(case, timing)],
    )
    for name, metric in ((FAST, METRICS[0]), (EVERY, METRICS[1])):
        report.metric(metric, max(ratio(timing[name], timing[PLAIN]) for timing in timings.values()))
    report.metric(METRICS[2], max(mean_of_fast(timing) for timing in timings.values()))
    return report


def mean_of_fast(timing: dict[str, Timing]) -> float:
    """An iteration of a whole fast search over a plain step, the default's warm-up being a third of it."""
    parts = {IMAGE: IMAGE_PART, EVERY: POLICY_PART * (1 - WARMUP)}
    spent = sum(part * ratio(timing[name], timing[PLAIN]) for name, part in parts.items())
    return spent / sum(parts.values())


def rows(case: Case, timing: dict[str, Timing]) -> list[tuple]:
    """A row a method."""
    each = [(name, found.median / INTERVAL, ratio(found, timing[PLAIN])) for name, found in timing.items()]
    return [(case.title, *row) for row in each]


def contestants(case: Case, device: torch.device) -> dict[str, Callable[[], object]]:
    """As many iterations of each as lie between two steps of the policy."""
    cfg = case.host.config('search', case.full_width)
    take_any_frames(cfg)
    step, batches = build_step(case, cfg, 'mmdas', device), search_batches(case, cfg)
    plain = training_step(case, cfg, 'plain', case.batch * FRAMES, device).step

    def repeated(function: Callable[[], object], count: int) -> Callable[[], object]:
        return lambda: [function() for _ in range(count)]

    def image() -> None:
        with on_image(step.model):
            step.train(batches['weights_batch'])

    def fast() -> None:
        for _ in range(INTERVAL - 1):
            step.train(batches['weights_batch'])
        step.search(**batches)

    return {
        PLAIN: repeated(plain, INTERVAL),
        IMAGE: repeated(image, INTERVAL),
        CLIP: repeated(lambda: step.train(batches['weights_batch']), INTERVAL),
        FAST: fast,
        EVERY: repeated(lambda: step.search(**batches), INTERVAL),
    }
