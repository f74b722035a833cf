"""B2: the gated shifts GSM and GSF, forward and backward, against their form with five-dimensional tensors."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Report, Settings, Timing, check_equal, forward_and_backward, race, ratio
from mmdas.models.fusion import GateShift, GateShiftFuse

TITLE = 'gated shifts (GSM, GSF), forward and backward with all gradients'
METRICS = ('speedup_over_5d', 'speedup_over_5d_compiled')
FRAMES = 8
SIZES = tuple((batch, *size) for size in ((64, 56), (256, 14), (512, 7)) for batch in (2, 4, 8))  # (B, C, side)
QUICK_SIZES = ((2, 64, 56), (8, 512, 7))
# On the CPU inductor puts everything around a convolution into channels_last by default, and the sums of the norm then
# stride over the channels: compiled code is slower than eager code.
COMPILE = {'cpu': dict(dynamic=False, options={'layout_optimization': False}), 'cuda': dict(dynamic=False)}
FORMS = {'GSM': GateShift, 'GSF': GateShiftFuse}


def run(settings: Settings) -> Report:
    """Time both modules at all sizes, as they are and compiled."""
    report, eager, compiled = Report(), [], []
    for size in QUICK_SIZES if settings.quick else SIZES:
        for name in FORMS:
            timings, has_compiled = race_size(name, size, settings)
            eager.append(row(name, size, timings, 'mmdas'))
            if has_compiled:
                compiled.append(row(name, size, timings, 'mmdas compiled', '5-D compiled'))
    columns = ('module', 'size', '5-D, ms', 'mmdas, ms', 'x 5-D')
    report.table(f'milliseconds, median (min), of forward and backward, T = {FRAMES}', columns, eager)
    report.metric('speedup_over_5d', min(line[-1] for line in eager))
    if compiled:
        columns = ('module', 'size', '5-D eager, ms', 'mmdas compiled, ms', '5-D compiled, ms', 'x 5-D eager')
        report.table('the same through torch.compile', columns, compiled)
        report.metric('speedup_over_5d_compiled', min(line[-1] for line in compiled))
    return report


def row(name: str, size: tuple[int, int, int], timings: dict[str, Timing], ours: str, *others: str) -> tuple:
    """One line of a table: milliseconds of the eager 5-D form, ours and others; speed of ours over the first."""
    batch, channels, side = size
    medians = [timings[key].milliseconds if key in timings else None for key in ('5-D', ours, *others)]
    return (name, f'{batch}x{FRAMES}x{channels}x{side}x{side}', *medians, ratio(timings['5-D'], timings[ours]))


def race_size(name: str, size: tuple[int, int, int], settings: Settings) -> tuple[dict[str, Timing], bool]:
    """Timings of all contestants, and whether compiled ones are among them."""
    batch, channels, side = size
    torch.manual_seed(0)
    module = FORMS[name](channels, FRAMES).to(settings.device).train()
    for parameter in module.parameters():  # at the start all gates are zero
        nn.init.normal_(parameter, std=0.1)
    x = torch.randn(batch * FRAMES, channels, side, side, device=settings.device, requires_grad=True)
    grad = torch.randn_like(x)
    forms = {'5-D': VolumeForm(module), 'mmdas': module}
    wanted = [x, *module.parameters()]
    steps = {key: forward_and_backward(partial(form, x), wanted, grad) for key, form in forms.items()}
    check_equal({key: step() for key, step in steps.items()}, rtol=1e-3, atol=1e-3)
    # Compiling takes longer than the race: the quick one compiles only what its metric is about.
    compiled = compiled_steps({'mmdas': module} if settings.quick else forms, x, wanted, grad)
    if compiled:
        check_equal({'5-D': steps['5-D'](), **{key: step() for key, step in compiled.items()}}, rtol=1e-3, atol=1e-3)
    rounds = 8 if settings.quick else 32
    return race(steps | compiled, rounds=rounds, warmup=2, device=settings.device), bool(compiled)


def compiled_steps(
    forms: dict[str, nn.Module], x: Tensor, wanted: list[Tensor], grad: Tensor
) -> dict[str, Callable[[], list[Tensor]]]:
    """The contestants through torch.compile; none, with the reason printed, where it does not work."""
    torch.compiler.reset()  # every size gets code for its own shapes
    steps = {
        f'{key} compiled': forward_and_backward(partial(torch.compile(form, **COMPILE[x.device.type]), x), wanted, grad)
        for key, form in forms.items()
    }
    try:
        for step in steps.values():
            step()
    except Exception as error:  # no C++ compiler, no Triton, or an unsupported interpreter: many types
        print(f'torch.compile left out: {type(error).__name__}: {str(error).strip().splitlines()[0]}', flush=True)
        return {}
    return steps


class VolumeForm(nn.Module):
    """GSM and GSF as published: batch norm and convolution of the volume (B, C, T, h, w).

    Args:
        fusion: module whose parameters and buffers are used.
    """

    def __init__(self, fusion: GateShift | GateShiftFuse) -> None:
        super().__init__()
        self.fusion = fusion
        self.gated = fusion.bn.num_features

    def forward(self, x: Tensor) -> Tensor:
        """(B*T, C, h, w) -> (B*T, C, h, w)."""
        volume = x[:, : self.gated].unflatten(0, (-1, FRAMES)).transpose(1, 2).contiguous()  # (B, f, T, h, w)
        gates = self.gates(volume)
        halves = []
        for index, (half, gate) in enumerate(zip(volume.chunk(2, dim=1), gates.chunk(2, dim=1), strict=True)):
            gated = gate * half
            gap = torch.zeros_like(gated[:, :, :1])
            shifted = [gated[:, :, 1:], gap] if index == 0 else [gap, gated[:, :, :-1]]
            halves.append(self.join(index, torch.cat(shifted, dim=2), half - gated))
        output = torch.cat(halves, dim=1).transpose(1, 2).flatten(0, 1)
        return torch.cat([output, x[:, self.gated :]], dim=1) if self.gated < x.shape[1] else output

    def gates(self, volume: Tensor) -> Tensor:
        """tanh(conv3D(relu(bn))), (B, 2, T, h, w)."""
        bn, conv = self.fusion.bn, self.fusion.conv3D
        normed = F.batch_norm(
            volume, bn.running_mean, bn.running_var, bn.weight, bn.bias, training=True, momentum=bn.momentum, eps=bn.eps
        )
        return F.conv3d(normed.relu(), conv.weight, conv.bias, padding=1, groups=2).tanh()

    def join(self, index: int, shifted: Tensor, residual: Tensor) -> Tensor:
        """Sum (GSM) or fusion by channel weights (GSF) of what moved and what stayed, (B, f/2, T, h, w)."""
        if isinstance(self.fusion, GateShift):
            return shifted + residual
        conv = (self.fusion.channel_conv1, self.fusion.channel_conv2)[index]
        means = torch.stack([shifted.mean(dim=(-2, -1)), residual.mean(dim=(-2, -1))], dim=1)  # (B, 2, f/2, T)
        weight = F.conv2d(means, conv.weight, conv.bias, padding=1).sigmoid()[:, 0, :, :, None, None]
        return 2 * (weight * shifted + (1 - weight) * residual)  # twice: the start `init='identity'`
