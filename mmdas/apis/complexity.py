"""How many parameters and floating-point operations a model has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmdas.noise import import_toolbox

from .config_files import host_of
from .das_settings import preprocessor_of
from .device import adapt_to_device
from .frame_numbers import check_num_frames


@dataclass(frozen=True)
class Complexity:
    """What an image costs.

    Args:
        parameters: numbers that are learned.
        flops: multiplications with an addition each, of convolutions, linear layers and attention, as papers count
            them; norms, and what samples or shifts pixels, such as warps, are not counted.
        frames: T, on all of which the network runs.
    """

    parameters: int
    flops: int
    frames: int


def measure_complexity(cfg: Config, size: tuple[int, int]) -> Complexity:
    """Count what the network does for one image, on the CPU.

    Args:
        cfg: of a plain model or one of DAS, of either toolbox; it is not changed.
        size: height and width of the image.

    Raises:
        ValueError: if parts of the model disagree on T, or the network takes no image of this size.
    """
    cfg = cfg.copy()
    check_num_frames(cfg)
    adapt_to_device(cfg)
    scope = host_of(cfg).scope
    import_toolbox(scope)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build({**cfg.model, 'data_preprocessor': preprocessor_of(cfg)}).eval()
    image = torch.zeros(1, image_channels(model), *size)
    preprocessor = model.data_preprocessor
    inputs = preprocessor.to_inputs(image) if hasattr(preprocessor, 'to_inputs') else image
    # The plain backend, with gradients: the counter knows no fused attention (findings/).
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(inputs)
    except RuntimeError as error:
        raise ValueError(f'the network does not take an image of {size[0]} x {size[1]}: {error}') from error
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Complexity(parameters, counter.get_total_flops() // 2, getattr(preprocessor, 'num_frames', 1))


def image_channels(model: nn.Module) -> int:
    """Channels that the first convolution of a backbone takes; 3 without one."""
    weights = model.get_submodule('backbone').parameters()
    return next((one.shape[1] for one in weights if one.ndim == 4), 3)
