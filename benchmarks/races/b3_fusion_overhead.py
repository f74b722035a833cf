"""B3: a training step of whole backbones with frame fusion against the same backbone, frames and images without."""

from collections.abc import Callable, Sequence

import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from benchmarks.harness import Report, Settings, check_equal, race, ratio
from mmdas.models.backbones import FrameFusionBackbone

TITLE = 'training step of backbones with frame fusion against without, same B*T images'
METRICS = ('overhead_tsm', 'overhead_gsf', 'overhead_gsm')
FRAMES = 8
FUSIONS = {'tsm': 'mmdas.TemporalShift', 'gsf': 'mmdas.GateShiftFuse', 'gsm': 'mmdas.GateShift'}
HOSTS = {18: (2, 224, 24), 50: (1, 224, 24)}  # depth -> (B, side, rounds)
QUICK_HOSTS = {18: (1, 112, 12), 50: (1, 112, 8)}


def run(settings: Settings) -> Report:
    """Time all hosts with all fusions."""
    hosts = QUICK_HOSTS if settings.quick else HOSTS
    rows = [race_host(depth, *options, settings.device) for depth, options in hosts.items()]
    report = Report()
    report.table(
        f'a step (forward, backward) of a ResNet, T = {FRAMES}; overhead of fusion, median over pairs',
        ('host', 'images', 'without, ms', *(f'{name}, %' for name in FUSIONS)),
        [(*row[:3], *(100 * overhead for overhead in row[3:])) for row in rows],
    )
    for column, name in enumerate(FUSIONS, start=3):
        report.metric(f'overhead_{name}', max(row[column] for row in rows))
    return report


def race_host(depth: int, batch: int, side: int, rounds: int, device: torch.device) -> tuple:
    """One row: host, images, milliseconds without fusion, overhead of every fusion as a fraction."""
    clip = torch.randn(batch, FRAMES * 3, side, side, device=device)
    models = {'none': backbone(depth, None, device)}
    models |= {name: backbone(depth, dict(type=kind), device) for name, kind in FUSIONS.items()}
    for name in FUSIONS:
        models[name].fusion.accept_difference = True  # of the record, which says that nothing is fused
        models[name].load_state_dict(models['none'].state_dict(), strict=False)
    # With the gates as they start the features are those of the host; a shift has no such state.
    check_equal({name: features(models[name], clip) for name in models if name != 'tsm'}, rtol=1e-3, atol=1e-3)
    steps = {name: training_step(model, clip) for name, model in models.items()}
    timings = race(steps, rounds, device=device)
    overheads = [ratio(timings[name], timings['none']) - 1 for name in FUSIONS]
    return f'R{depth}', f'{batch}x{FRAMES}x{side}x{side}', timings['none'].milliseconds, *overheads


def backbone(depth: int, fusion: dict | None, device: torch.device) -> nn.Module:
    """MMPretrain's ResNet on clips."""
    torch.manual_seed(0)
    config = dict(type='mmpretrain.ResNet', depth=depth)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = FrameFusionBackbone(config, FRAMES, fusion).to(device)
    model.train()  # on a line of its own: ResNet's returns None
    return model


@torch.no_grad()
def features(model: nn.Module, clip: Tensor) -> Sequence[Tensor]:
    """What the backbone gives, with its own running statistics left as they are."""
    model.eval()
    output = model(clip)
    model.train()
    return output


def training_step(model: nn.Module, clip: Tensor) -> Callable[[], None]:
    """Forward and backward of a simple loss, all gradients made afresh."""

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model(clip)[-1].square().mean().backward()

    return step
