"""A trial of a place at which frames part, without data: does all that follows see frames alone?"""

import re
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmdas.ops.aligned_shift import FrameAlignment
from mmdas.ops.clip import repeat_image

from .parting import Parting, PartingError

# Two numbers of images and frames of which no message names one by chance, and a size that most networks take.
IMAGES, FRAMES, SIDE = 11, 13, 64


def try_parting(backbone: Any) -> None:
    """Run the shapes of some images through a backbone whose frames part on the way.

    A path around the place, such as the shortcut of a block, brings features of the image to features of its frames.
    They differ in number, which is an error for several images; those of one image would be broadcast to all of its
    frames. So such a place is refused when the backbone is built. Shapes alone run, of tensors without memory. Networks
    that do not run so, as with images of this size, are not tried.

    Args:
        backbone: of :class:`FrameFusionBackbone`, with a parting; stays as it is.

    Raises:
        PartingError: naming the place and the remedy.
    """
    parting: Parting = backbone.parting
    modes = {module: module.training for module in backbone.modules()}
    fusions: list[Any] = list(backbone.fusion.children())
    before, tell = backbone.fusion.num_frames, parting.tell
    frames = before or FRAMES
    images = torch.empty(IMAGES, backbone.image_channels, SIDE, SIDE, device='meta')
    parting.tell = backbone.fusion._tell_modules
    try:
        for module in modes:
            module.training = False
        for fusion in fusions:
            fusion.alignment = FrameAlignment(frames)
        _run(backbone, parting, images, frames)
    finally:
        parting.tell = tell
        backbone.fusion._tell_modules(before)
        for fusion in fusions:
            fusion.alignment = None
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def _run(backbone: nn.Module, parting: Parting, images: Tensor, frames: int) -> None:
    values = {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    shapes = {name: torch.empty_like(value, device='meta') for name, value in values.items()}
    try:
        with suppress(NotImplementedError, AssertionError), parting.lent(lambda maps: repeat_image(maps, frames)):
            functional_call(backbone, shapes, (images,))
    except PartingError:
        raise
    except Exception as error:  # of a network that runs otherwise with the images that it is made for
        if {IMAGES, IMAGES * frames} <= {int(number) for number in re.findall(r'\d+', str(error))}:
            raise PartingError(parting.explain_path()) from error
