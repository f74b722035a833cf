"""G7: what GSF adds to a training step of a ResNet-50."""

from benchmarks.harness import Report, Settings
from benchmarks.races.b3_fusion_overhead import FRAMES, FUSIONS, HOSTS, QUICK_HOSTS, race_host

TITLE = 'training step of a ResNet-50 with GSF against without, same B*T images'
METRICS = ('gsf_r50_overhead',)


def run(settings: Settings) -> Report:
    """Time the one host."""
    options = (QUICK_HOSTS if settings.quick else HOSTS)[50]
    row = race_host(50, *options, settings.device)
    overheads = dict(zip(FUSIONS, row[3:], strict=True))
    report = Report()
    report.table(
        f'a step (forward, backward) of a ResNet, T = {FRAMES}; overhead of fusion, median over pairs',
        ('host', 'images', 'without, ms', *(f'{name}, %' for name in FUSIONS)),
        [(*row[:3], *(100 * overhead for overhead in overheads.values()))],
    )
    report.metric('gsf_r50_overhead', overheads['gsf'])
    return report
