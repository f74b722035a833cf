"""DropBlock (Ghiasi et al., NeurIPS 2018) at a rate that rises along the training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mmdas.augment.progress import training_progress
from mmdas.registry import MODELS

from .base import FeatureRegularizer
from .error import FeatureError


@MODELS.register_module()
class DropBlock(FeatureRegularizer):
    """Set square blocks of each channel to zero (DropBlock, Ghiasi et al., NeurIPS 2018).

    The mask is that of ``torchvision.ops.drop_block2d``, with what is left scaled so that the mean mask is one. All
    frames of an image have the same mask. The rate rises linearly from zero (Sec. 3, scheduled DropBlock): it follows
    from the iteration that MMEngine notes, so that a resumed training needs no state. Without a runner there is no
    iteration; ``ramp=0`` keeps the rate constant.

    Args:
        rate: part of the places that blocks cover, if they did not overlap, in [0, 1). Default: 0.1.
        block_size: side of a block in places of the map, odd. A map that is smaller takes the largest odd side that
            fits. Default: 7.
        ramp: part of the training in which the rate rises, in [0, 1]; 0 keeps it constant. Default: 1.

    Shape:
        features (B*T, C, h, w) -> the same.

    Raises:
        FeatureError: for settings out of their range, or an even side.
    """

    def __init__(self, rate: float = 0.1, block_size: int = 7, ramp: float = 1.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise FeatureError(f'rate of mmdas.DropBlock must be in [0, 1), got {rate}')
        if block_size < 1 or block_size % 2 == 0:
            raise FeatureError(
                f'block_size of mmdas.DropBlock must be odd and at least 1, so that blocks have a centre; '
                f'got {block_size}'
            )
        self.rate, self.block_size, self.ramp = rate, block_size, self.check_share('ramp', ramp)

    def current_rate(self) -> float:
        """Rate in this iteration."""
        return self.rate * min(training_progress() / self.ramp, 1.0) if self.ramp else self.rate

    def regularize(self, features: Tensor, num_frames: int) -> Tensor:
        rate = self.current_rate()
        if not rate:
            return features
        mask = draw_mask(features[::num_frames], rate, self.block_size)
        return features * mask.repeat_interleave(num_frames, dim=0).to(features.dtype)

    def extra_repr(self) -> str:
        return f'rate={self.rate}, block_size={self.block_size}, ramp={self.ramp}'


def draw_mask(like: Tensor, rate: float, block_size: int) -> Tensor:
    """A mask of zeros in blocks, and of one number elsewhere that makes the mean one.

    Args:
        like: (B, C, h, w), whose shape and device the mask has.
        rate: part that blocks cover, if they did not overlap.
        block_size: side of a block, odd.

    Returns:
        (B, C, h, w), float32: half-precision sums of a large mask overflow in PyTorch.
    """
    from torchvision.ops import drop_block2d  # a slow import, which few models need

    shorter = min(like.shape[2:])
    fitting = shorter - 1 + shorter % 2  # torchvision refuses a map of an even side below that of a block
    ones = torch.ones_like(like, dtype=torch.float32)
    with drawn_from_cpu(like.device):
        return drop_block2d(ones, rate, min(block_size, fitting))


@contextmanager
def drawn_from_cpu(device: torch.device) -> Iterator[None]:
    """Let random numbers of a device follow from one number of the generator of the CPU.

    So its state alone decides what is drawn on any device; the device's own generator stays as it was.
    """
    seed = int(torch.randint(2**31 - 1, ()))
    on_cpu = device.type == 'cpu'
    kind = {} if on_cpu else {'device_type': device.type}
    with torch.random.fork_rng([] if on_cpu else [device], **kind):
        if on_cpu:
            torch.default_generator.manual_seed(seed)
        else:
            getattr(torch, device.type).manual_seed(seed)
        yield
