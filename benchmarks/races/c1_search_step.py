"""C1: a step of the search, policy and weights, against a plain training step and the steps of other searches."""

import copy
import functools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from benchmarks.harness import Report, Settings, Timing, check_equal, race, ratio
from benchmarks.passes import Passes, count_passes
from benchmarks.search_hosts import (
    CLASSIFIER,
    FRAMES,
    SEGMENTOR,
    SearchHost,
    build_model,
    random_batch,
    search_wrappers,
    weights_wrapper,
)
from mmdas.engine import AdversarialStep, AlternatingStep, LinearCritic, LookAheadStep, SearchStep
from mmdas.engine.utils import find_searchable

TITLE = 'search step (policy and weights) against a plain training step on the same B*T images'
PLAIN, CLIP, OURS, NAIVE, DADA, FASTER_AA = 'plain', 'plain on clips', 'mmdas', 'naive', 'DADA', 'Faster AutoAugment'
# Metrics of the others, ratios to the plain step.
OTHERS = {NAIVE: 'naive_ratio_to_plain_step', DADA: 'dada_ratio', FASTER_AA: 'faster_autoaugment_ratio'}
AHEAD = 'look_ahead_over_first_order'
METRICS = ('ratio_to_plain_step', 'ratio_to_clip_step', AHEAD, *OTHERS.values())
PARTS = ('weights', 'policy')
CAPTION = (
    f'T = {FRAMES}. plain: one training step of the 2-D model on B*T images; plain on clips: of the model with frame '
    'fusion on B repeated images. A step of a search steps the policy on B images and the weights on B others, both '
    'through B*T frames: the naive form takes 2.0 plain steps, its cell and its fusion on top. A pass is one of '
    'the network, forward or backward, on B*T frames'
)


class NaiveStep(AlternatingStep):
    """The same computation as one would write it first.

    All parameters get gradients in both steps, and the cell runs operation by operation.
    """

    def __init__(self, model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper]) -> None:
        super().__init__(model, optim_wrapper)
        cell = find_searchable(model)
        cell.forward = cell._loop

    def _fixed(self, *optimizers: torch.optim.Optimizer) -> nullcontext:
        return nullcontext()


def adversarial_step(model: nn.Module, optim_wrapper: Mapping[str, OptimWrapper]) -> AdversarialStep:
    """The step of Faster AutoAugment with the critic that fits the network."""
    return AdversarialStep(model, optim_wrapper, LinearCritic(model.backbone.feat_dim))


# What is compared is the work of a step: the cell is relaxed by a softmax in all of them.
STEPS = {OURS: AlternatingStep, NAIVE: NaiveStep, DADA: LookAheadStep, FASTER_AA: adversarial_step}
ADAM = {'type': 'Adam', 'lr': 1e-3, 'betas': (0.0, 0.999)}  # of the weights in Faster AutoAugment


@dataclass(frozen=True)
class Case:
    """A network and its batch: B images of ``side`` x ``side``, full or quarter width."""

    host: SearchHost
    batch: int
    side: int
    full_width: bool = True

    @property
    def title(self) -> str:
        """Name in the table."""
        width = '' if self.full_width else ', quarter width'
        return f'{self.host.name}{width}, {self.batch}x{FRAMES}x{self.side}x{self.side}'


@dataclass(frozen=True)
class Contestant:
    """A step, and the network whose passes count."""

    step: Callable[[], object]
    network: nn.Module


CASES = (Case(CLASSIFIER, 64, 32), Case(SEGMENTOR, 8, 160))
CPU_CASES = (Case(CLASSIFIER, 4, 32), Case(SEGMENTOR, 2, 64))  # without a GPU the full batches take hours
QUICK_CASES = (Case(CLASSIFIER, 8, 32, full_width=False), Case(SEGMENTOR, 4, 64, full_width=False))
QUICK_ROUNDS, CPU_ROUNDS, ROUNDS = 5, 6, 16


def run(settings: Settings) -> Report:
    """Race all methods on all networks."""
    cases, rounds = (CASES, ROUNDS) if settings.device.type == 'cuda' else (CPU_CASES, CPU_ROUNDS)
    if settings.quick:
        cases, rounds = QUICK_CASES, QUICK_ROUNDS
    results = {case: race_case(case, rounds, settings.device) for case in cases}
    report = Report()
    columns = ('network, B x T x size', 'method', 'forward', 'backward', 'seconds', '/ plain', '/ plain on clips')
    report.table(CAPTION, columns, [row for case, result in results.items() for row in table_rows(case, *result)])
    timings = [timing for timing, _ in results.values()]
    report.metric('ratio_to_plain_step', max(ratio(timing[OURS], timing[PLAIN]) for timing in timings))
    report.metric('ratio_to_clip_step', max(ratio(timing[OURS], timing[CLIP]) for timing in timings))
    report.metric(AHEAD, max(ratio(timing[DADA], timing[OURS]) for timing in timings))
    # Of the others the network that suits them best counts.
    for name, metric in OTHERS.items():
        report.metric(metric, min(ratio(timing[name], timing[PLAIN]) for timing in timings))
    return report


def race_case(case: Case, rounds: int, device: torch.device) -> tuple[dict[str, Timing], dict[str, Passes]]:
    """Seconds and passes of all methods on one network."""
    check_same_step(case, device)
    contestants = build_contestants(case, device)
    passes = {name: passes_of(contestant) for name, contestant in contestants.items()}
    steps = {name: contestant.step for name, contestant in contestants.items()}
    return race(steps, rounds, device=device), passes


def table_rows(case: Case, timings: Mapping[str, Timing], passes: Mapping[str, Passes]) -> list[tuple]:
    """A row per method."""
    return [
        (
            case.title,
            name,
            passes[name].forward,
            passes[name].backward,
            timing.median,
            ratio(timing, timings[PLAIN]),
            ratio(timing, timings[CLIP]),
        )
        for name, timing in timings.items()
    ]


def build_contestants(case: Case, device: torch.device) -> dict[str, Contestant]:
    """All methods, each with a model of its own that starts from the same weights."""
    cfg = case.host.config('search', case.full_width)
    contestants = {
        PLAIN: training_step(case, cfg, 'plain', case.batch * FRAMES, device),
        CLIP: training_step(case, cfg, 'repeat', case.batch, device),
    }
    batches = search_batches(case, cfg)
    for name in STEPS:
        step = build_step(case, cfg, name, device)
        network = step.model.backbone
        contestants[name] = Contestant(functools.partial(step.search, **batches), network)
        if name == OURS:
            for part in PARTS:
                update = functools.partial(step.update, part, batches[f'{part}_batch'])
                contestants[f'{name}, its {part} step'] = Contestant(update, network)
    return contestants


def training_step(case: Case, cfg: Config, kind: str, images: int, device: torch.device) -> Contestant:
    """A training step of a model without a cell, with the optimiser that the search has for its weights."""
    model = build_model(case.host.config(kind, case.full_width), device, case.side)
    wrapper = weights_wrapper(cfg, model)
    batch = random_batch(cfg, images, case.side, seed=0)
    return Contestant(lambda: model.train_step(batch, wrapper), model.backbone)


def build_step(case: Case, cfg: Config, name: str, device: torch.device) -> SearchStep:
    """A method with its model."""
    model = build_model(cfg, device, case.side)
    if name == FASTER_AA:
        cfg = copy.deepcopy(cfg)
        cfg.optim_wrapper.weights.optimizer = ADAM
    return STEPS[name](model, search_wrappers(cfg, model))


def search_batches(case: Case, cfg: Config) -> dict[str, dict]:
    """The two batches of a policy iteration."""
    return {f'{part}_batch': random_batch(cfg, case.batch, case.side, seed) for seed, part in enumerate(PARTS)}


def passes_of(contestant: Contestant) -> Passes:
    """Passes of one step."""
    with count_passes(contestant.network) as passes:
        contestant.step()
    return passes


def check_same_step(case: Case, device: torch.device) -> None:
    """The search's step and its naive form compute the same losses and the same direction of the policy's gradient.

    Raises:
        AssertionError: if not.
    """
    cfg = case.host.config('search', case.full_width)
    check_equal({name: losses_and_gradient(case, cfg, name, device) for name in (OURS, NAIVE)}, rtol=1e-3, atol=1e-2)


def losses_and_gradient(case: Case, cfg: Config, name: str, device: torch.device) -> list[Tensor]:
    """Losses of the first step and the policy's gradient, which Adam keeps as its first moment, over its length."""
    step = build_step(case, cfg, name, device)
    torch.manual_seed(0)  # of the dropout
    outputs = step.search(**search_batches(case, cfg))
    moments = step.optim_wrapper['policy'].optimizer.state.values()
    return [outputs['policy_loss'], outputs['loss'], *(F.normalize(m['exp_avg'].flatten(), dim=0) for m in moments)]
