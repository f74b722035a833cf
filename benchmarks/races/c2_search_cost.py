"""C2: hours of a whole search, from the shipped config to the policy."""

from dataclasses import dataclass

from mmengine.config import Config

from benchmarks.harness import Report, Settings, race
from benchmarks.search_cost import (
    DataSize,
    PhaseCost,
    phase_costs,
    phase_counts,
    phase_steps,
    ready_search,
    total_hours,
    without_files,
)
from benchmarks.search_hosts import CLASSIFIER, FRAMES, SEGMENTOR, SearchHost

TITLE = f'hours of a whole search to a policy, T = {FRAMES}'
METRICS = ('hours', 'hours_quarter_width', 'hours_camvid')


@dataclass(frozen=True)
class Search:
    """A search of the repository.

    Args:
        metric: name of its hours.
        host: network and config.
        data: size of the data set.
        full_width: see :meth:`SearchHost.config`.
    """

    metric: str
    host: SearchHost
    data: DataSize
    full_width: bool

    @property
    def title(self) -> str:
        """Name in the tables."""
        return f'{self.host.name}, {"full" if self.full_width else "quarter"} width'


CIFAR10, CAMVID = DataSize(4660, (32, 32)), DataSize(367, (360, 480))
SEARCHES = (
    Search('hours_quarter_width', CLASSIFIER, CIFAR10, full_width=False),
    Search('hours', CLASSIFIER, CIFAR10, full_width=True),
    Search('hours_camvid', SEGMENTOR, CAMVID, full_width=False),
)


def run(settings: Settings) -> Report:
    """Estimate all searches."""
    report, totals = Report(), []
    for search in SEARCHES:
        cfg = search.host.config('search', search.full_width)
        whole = cfg.train_dataloader.batch_size
        batch, rounds = timed_batch(whole, search.full_width, settings)
        costs = cost_of(cfg, search.data, batch, rounds, settings)
        report.table(
            f'{search.title}: hours of all iterations, extrapolated from {rounds} timed ones of every phase on '
            f'{batch} of the {whole} images of a batch',
            ('phase', 'iterations', 'seconds each', 'hours'),
            [(cost.phase, cost.count, cost.seconds, cost.hours) for cost in costs],
        )
        totals.append((search.title, total_hours(costs)))
        report.metric(search.metric, total_hours(costs))
    report.table(caption(settings), ('search', 'hours'), totals)
    return report


def caption(settings: Settings) -> str:
    """What the hours are hours of."""
    device = 'one GPU' if settings.device.type == 'cuda' else 'the CPU'
    return (
        f'Hours of {device}, one process with {settings.threads} CPU thread(s), the schedules of the shipped configs. '
        'Extrapolated: median of timed iterations x number of iterations. Augmentation, collation and hooks are in; '
        'reading files, checkpoints and the start are not. Selection counts trials x batches, '
        'forward only'
    )


def cost_of(cfg: Config, data: DataSize, batch: int, rounds: int, settings: Settings) -> list[PhaseCost]:
    """What every phase of a search costs.

    Args:
        cfg: of the search.
        data: size of its data set.
        batch: images of the batches that are timed; the seconds are scaled up to those of the config.
        rounds: timed iterations of every phase.
        settings: of the race.
    """
    whole = cfg.train_dataloader.batch_size
    with ready_search(without_files(cfg, data, whole)) as runner:
        counts = phase_counts(runner.train_loop.schedule)
    with ready_search(without_files(cfg, data, batch)) as runner:
        timings = race(phase_steps(runner.train_loop), rounds, device=settings.device)
    return phase_costs(counts, timings, scale=whole / batch)


def timed_batch(whole: int, full_width: bool, settings: Settings) -> tuple[int, int]:
    """Images of the batches that are timed, and rounds: the whole batch where that takes no hours.

    What does not grow with the batch, such as the optimiser's step, counts several times in a part: too many hours.
    """
    if settings.quick:
        return max(whole // (16 if full_width else 4), 1), 3
    if settings.device.type == 'cuda':
        return whole, 20
    return max(whole // (4 if full_width else 1), 1), 5
