"""The theoretical receptive field of each stage of a network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .positive import AveragingPools, is_norm, positive_copy

# Sides of the images: the field along one side is measured on images that are short along the other one.
# Some networks take no side below 7 windows of 32 pixels.
SHORTS, LENGTHS = (64, 256), (256, 512, 2048)
IMAGE = 1e-6  # the pixels: so small that no activation with an upper bound, such as ReLU6, reaches it
# Least share of the largest derivative. A corner of seventy convolutions of 3 pixels has 1e-34 of it. The masks of
# shifted windows let exp(-100) = 1e-44 through, which is no dependence.
LEAST = 1e-38


@dataclass(frozen=True)
class StageField:
    """The field of a stage.

    Args:
        stage: path of its module, such as ``'layer3'``.
        height, width: pixels of the image that one of its units depends on; None for more than 2000, such as all.
        stride: pixels of the image between two neighbouring units, along (height, width); None of tokens.
    """

    stage: str
    height: int | None
    width: int | None
    stride: tuple[int, int] | None


Run = Callable[[nn.Module, Tensor], Any]


def theoretical_fields(
    network: nn.Module, run: Run | None = None, stages: Sequence[str] | None = None, channels: int = 3
) -> list[StageField]:
    """Theoretical receptive fields of the stages of a network, as Araujo et al. (Distill 2019) define them.

    They are measured: with positive constant weights the derivative of a unit is positive where its field is. So
    kernels, strides, dilations, branches and attention count without being known. Dilated convolutions leave holes; the
    field is the box around them.

    Args:
        network: stays as it is.
        run: how it is called with an image (1, C, H, W). Default: ``network(image)``.
        stages: paths of modules. A stage whose field is that of the one before is left out. Default: the children of
            the network, see :func:`stages_of`.
        channels: C.

    Returns:
        in the order of their calls.

    Raises:
        AssertionError, RuntimeError, ValueError: as of the network, for one that does not take images of other sizes.
    """
    made, call = positive_copy(network), run or (lambda module, image: module(image))
    paths = list(stages_of(network)) if stages is None else list(stages)
    for short in SHORTS:
        try:
            heights, widths = (_along(made, call, paths, channels, axis, short) for axis in (0, 1))
            break
        except (AssertionError, RuntimeError, ValueError):
            if short == SHORTS[-1]:
                raise
    found: list[StageField] = []
    for stage, (width, step) in widths.items():
        height, rise = heights[stage]
        stride = None if step is None or rise is None else (rise, step)
        if not found or (height, width, stride) != (found[-1].height, found[-1].width, found[-1].stride):
            found.append(StageField(stage, height, width, stride))
    return found


def stages_of(network: nn.Module, prefix: str = '') -> Iterator[str]:
    """Paths of the stages: the children but norms, and those of lists and of a container that is the only child."""
    children = [(name, child) for name, child in network.named_children() if not is_norm(child)]
    for name, child in children:
        opened = isinstance(child, nn.ModuleList) or (isinstance(child, nn.Sequential) and len(children) == 1)
        yield from stages_of(child, f'{prefix}{name}.') if opened else [prefix + name]


def _along(
    network: nn.Module, run: Run, stages: Sequence[str], channels: int, axis: int, short: int
) -> dict[str, tuple[int | None, int | None]]:
    """Extent and stride of each stage along the height (axis 0) or the width (axis 1)."""
    found: dict[str, tuple[int | None, int | None]] = {}
    left = stages
    for length in LENGTHS:
        size = (length, short) if axis == 0 else (short, length)
        found |= _measure(network, run, left, torch.full((1, channels, *size), IMAGE, dtype=torch.double), axis)
        left = [stage for stage in left if stage in found and found[stage][0] is None]
        if not left:
            break
    return found


def _measure(
    network: nn.Module, run: Run, stages: Sequence[str], image: Tensor, axis: int
) -> dict[str, tuple[int | None, int | None]]:
    image.requires_grad_(True)
    with AveragingPools(), torch.enable_grad(), _outputs_of(network, stages) as outputs:
        run(network, image)
    found = {}
    for stage, output in outputs.items():
        (slope,) = torch.autograd.grad(middle_unit(output, image), image, retain_graph=True, allow_unused=True)
        if slope is None:
            continue
        profile = slope.abs().sum((0, 1, 3 - axis))
        places = (profile > LEAST * profile.max()).nonzero()
        first, last = int(places[0]), int(places[-1])
        inside = first > 0 and last < len(profile) - 1
        stride = round(len(profile) / output.shape[2 + axis]) if output.ndim == 4 else None
        found[stage] = (last - first + 1 if inside else None, stride)
    return found


def middle_unit(output: Tensor, image: Tensor) -> Tensor:
    """Sum over the channels of the unit in the middle of a map (B, C, h, w), or of tokens (B, L, C) of an image."""
    if output.ndim == 4:
        return output[:, :, output.shape[2] // 2, output.shape[3] // 2].sum()
    height, width = image.shape[-2:]
    columns = round((output.shape[1] * width / height) ** 0.5)
    rows = output.shape[1] // columns
    extra = output.shape[1] - rows * columns  # tokens of no place come first
    return output[:, extra + rows // 2 * columns + columns // 2].sum()


@contextmanager
def _outputs_of(network: nn.Module, stages: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """What stages return while it is open, in the order of their calls; the first tensor of several."""
    outputs: dict[str, Tensor] = {}

    def keep(stage: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            first = _first_tensor(output)
            if first is not None and first.ndim in (3, 4) and first.requires_grad:
                outputs[stage] = first

        return hook

    handles = [network.get_submodule(stage).register_forward_hook(keep(stage)) for stage in stages]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _first_tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    found = (_first_tensor(part) for part in output) if isinstance(output, (list, tuple)) else ()
    return next((part for part in found if part is not None), None)
