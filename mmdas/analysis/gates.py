"""The gates of the fusion modules: how much of its features each place of each frame gives to its neighbours."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.fusion import FrameFusion, GatedFusion
from mmdas.ops.clip import clip_to_frames, split_frames

from .network import AnalysisError, Batch, ImageNetwork

PREFIX = 'backbone.fusion.'  # of the names of fusion modules in a model


def gated_fusions(model: nn.Module) -> dict[str, GatedFusion]:
    """The fusion modules with gates, by the names of their places, such as ``'layer1_0_conv2'``.

    Raises:
        AnalysisError: if there is none.
    """
    found = {
        name.removeprefix(PREFIX): module for name, module in model.named_modules() if isinstance(module, GatedFusion)
    }
    if not found:
        kinds = {type(module).__name__ for module in model.modules() if isinstance(module, FrameFusion)}
        raise AnalysisError(
            f'{type(model).__name__} has no gates: its fusion is {", ".join(sorted(kinds)) or "none"}; take a model of '
            'several frames that was trained with --fusion gsm or gsf'
        )
    return found


@contextmanager
def noting_gates(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Note the gates of all gated fusions while a model is called; the model stays as it is.

    Yields:
        Name of the place -> gates (B, T, 2, h, w) of each call; see :meth:`GatedFusion.gates` for the two.

    Raises:
        AnalysisError: if the model has no gates.
    """
    modules = gated_fusions(model)
    noted: dict[str, list[Tensor]] = {name: [] for name in modules}
    hooks = [module.register_forward_pre_hook(partial(_note, noted[name])) for name, module in modules.items()]
    try:
        yield noted
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _note(calls: list[Tensor], module: GatedFusion, inputs: tuple[Tensor, ...]) -> None:
    gates = module.gates(inputs[0][:, : module.gated_channels])
    calls.append(split_frames(gates, module.num_frames))


@torch.no_grad()
def fusion_gates(network: ImageNetwork, batch: Batch) -> dict[str, Tensor]:
    """The gates on whole images; a model with slide inference sees the whole image here, too.

    Args:
        network: with GSM or GSF, while it is ``evaluating``.
        batch: of ``network.read``.

    Returns:
        Name of the place, from the entrance of the network on -> (B, T, 2, h, w) over the canvas of the batch, in
        [-1, 1]: the gate of what goes one frame back, and of what goes one frame forth. 0 lets nothing through.

    Raises:
        AnalysisError: if the model has no gates.
    """
    with noting_gates(network.model) as noted:
        network.features(batch)
    return {name: calls[-1] for name, calls in noted.items() if calls}


@torch.no_grad()
def frames_of(network: ImageNetwork, batch: Batch) -> Tensor:
    """The frames that the network sees, (B, T, C, H, W), normalised; of images where its frames part late, too."""
    preprocessor = network.preprocessor
    if not isinstance(preprocessor, ImageToClip):
        raise AnalysisError(f'{type(preprocessor).__name__} makes no clips, so that there are no frames')
    clip = preprocessor.to_clip(batch.images, batch.sizes)
    frames = preprocessor.frames_now
    return split_frames(clip_to_frames(clip, frames), frames)
