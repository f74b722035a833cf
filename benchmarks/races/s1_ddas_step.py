"""S1: the exact step of DDAS, and the one whose copies share the batch, against a plain step of the same images."""

import functools
import gc
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.harness import MEBIBYTE, Report, Settings, Timing, race, ratio, synchronize
from benchmarks.search_hosts import CLASSIFIER, SEGMENTOR, SearchHost, build_model, random_batch, search_wrappers
from mmdas.apis import convert_augment_search
from mmdas.engine import DDASStep

TITLE = 'step of DDAS, weights and policy, against a plain training step on the same images'
PLAIN, EXACT, SHARED = 'plain', 'DDAS', 'DDAS, copies share the batch'
METRICS = ('ddas_step_over_plain', 'memory_over_plain', 'cheap_step_over_plain')
CAPTION = (
    'plain: one training step on B images. DDAS: B images clean and as three augmented copies, and B held-out images, '
    'five passes. Shared: each of the B images clean or in one of the copies, and B held-out images, two passes. '
    'Memory: the peak of a step less what there was before the model, in a process of its own'
)


@dataclass(frozen=True)
class Case:
    """A network and its batch."""

    host: SearchHost
    batch: int
    side: int
    full_width: bool = True

    @property
    def title(self) -> str:
        """Name in the table."""
        width = '' if self.full_width else ', quarter width'
        return f'{self.host.name}{width}, {self.batch}x{self.side}x{self.side}'


CASES = (Case(CLASSIFIER, 256, 32), Case(SEGMENTOR, 16, 160))
CPU_CASES = (Case(CLASSIFIER, 32, 32), Case(SEGMENTOR, 8, 96))
QUICK_CASES = (Case(CLASSIFIER, 32, 32, full_width=False), Case(SEGMENTOR, 8, 64, full_width=False))


def run(settings: Settings) -> Report:
    """Race the three steps on all networks."""
    cases = CASES if settings.device.type == 'cuda' else CPU_CASES
    cases, rounds = (QUICK_CASES, 6) if settings.quick else (cases, 9)
    report = Report()
    rows, timings, memories = [], [], []
    for case in cases:
        timing = race_case(case, rounds, settings.device)
        memory = {name: peak(case, name, settings.device) for name in (PLAIN, EXACT, SHARED)}
        timings.append(timing)
        memories.append(memory[EXACT] / memory[PLAIN])
        rows += [
            (case.title, name, timing[name].milliseconds, ratio(timing[name], timing[PLAIN]), memory[name] / MEBIBYTE)
            for name in timing
        ]
    report.table(CAPTION, ('network, B x size', 'step', 'ms, median (min)', '/ plain', 'peak, MiB'), rows)
    report.metric('ddas_step_over_plain', max(ratio(timing[EXACT], timing[PLAIN]) for timing in timings))
    report.metric('memory_over_plain', max(memories))
    report.metric('cheap_step_over_plain', max(ratio(timing[SHARED], timing[PLAIN]) for timing in timings))
    return report


def race_case(case: Case, rounds: int, device: torch.device) -> dict[str, Timing]:
    """Seconds of the three steps on one network."""
    return race({name: build(case, name, device) for name in (PLAIN, EXACT, SHARED)}, rounds, 2, device)


def build(case: Case, name: str, device: torch.device) -> Callable[[], object]:
    """A step, with a model of its own that starts from the same weights."""
    plain = case.host.config('plain', case.full_width)
    cfg = convert_augment_search(plain, 'ddas')
    batch = random_batch(plain, case.batch, case.side, seed=0)
    if name == PLAIN:
        model = build_model(plain, device, case.side)
        optimizer = torch.optim.SGD(model.parameters(), lr=cfg.optim_wrapper.weights.optimizer.lr)
        return functools.partial(plain_step, model, optimizer, batch)
    preprocessor = (cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')).copy()
    preprocessor['channel_order'] = 'rgb'
    cfg.model['data_preprocessor'] = preprocessor
    model = build_model(cfg, device, case.side)
    step = DDASStep(model, search_wrappers(cfg, model), share_batch=name == SHARED)
    return functools.partial(step.search, random_batch(plain, case.batch, case.side, seed=1), batch)


def plain_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: dict) -> None:
    """Forward, backward, step."""
    optimizer.zero_grad()
    data = model.data_preprocessor(batch, True)
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    optimizer.step()


def peak(case: Case, name: str, device: torch.device) -> int:
    """Bytes at the peak of a step, less what there was before the model."""
    if device.type == 'cuda':
        gc.collect()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        step = build(case, name, device)
        torch.cuda.reset_peak_memory_stats()
        step()
        step()
        synchronize(device)
        return torch.cuda.max_memory_allocated() - before
    with get_context('spawn').Pool(1) as pool:
        return pool.apply(_peak_of_process, (case.title, case.batch, case.side, case.full_width, name))


def _peak_of_process(title: str, batch: int, side: int, full_width: bool, name: str) -> int:
    torch.set_num_threads(1)
    host = next(host for host in (CLASSIFIER, SEGMENTOR) if title.startswith(host.name))
    tiny = Case(host, 8, 64, full_width=False)
    build(tiny, name, torch.device('cpu'))()  # what the libraries take for themselves
    gc.collect()
    before = _memory('VmRSS')
    step = build(Case(host, batch, side, full_width), name, torch.device('cpu'))
    Path('/proc/self/clear_refs').write_text('5')  # the peak is counted from here
    step()
    step()
    return _memory('VmHWM') - before


def _memory(name: str) -> int:
    """Bytes that the system counts for this process."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f'this system does not tell {name} of a process')
