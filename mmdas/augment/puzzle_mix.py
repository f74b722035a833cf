"""Puzzle Mix as a step on the batches of a training."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.registry import AUGMENTS
from mmdas.search.das.operation import Size

from .checks import are, check_share, is_number
from .content import content_sizes
from .label_maps import map_names, stack_maps, with_maps
from .label_mixer import LabelMixer
from .puzzle import (
    best_moves,
    block_counts,
    block_importance,
    enlarged,
    loss_saliency,
    minimal_labels,
    moved_pieces,
    piece_count,
    puzzle_energy,
)


@AUGMENTS.register_module()
class PuzzleMix(LabelMixer):
    """Mix images so that what matters in both of them is seen (Puzzle Mix, Kim et al., ICML 2020).

    What matters is where the loss of the clean image has a large gradient. A grid of blocks is drawn; a minimum cut
    finds the mask that keeps most of both images and is smooth. In classification the pieces of both images then move
    to where the mask shows them, and the labels are mixed in the shares of the mask. In segmentation the mask takes
    each block from one image, with its labels, and nothing moves. Each step has one more pass of the network, forwards
    and backwards.

    Args:
        alpha: > 0; the expected share of the image itself has the distribution Beta(alpha, alpha). Default: 1.
        probability: that an image is mixed, in [0, 1]. Default: 1.
        blocks: numbers of blocks a side, one of which is drawn for a batch; those that do not divide the sides of the
            images are left out. Default: 2, 4, 8 and 16.
        levels: number of shares that a block can have, at least 2; 2 in segmentation, whatever stands here. Default: 3:
            all, a half, nothing.
        smoothness: beta >= 0. Default: 1.2.
        data_smoothness: gamma in [0, 1]. Default: 0.5.
        prior: eta >= 0. Default: 0.2. See :func:`mmdas.augment.puzzle.puzzle_energy` for the three.
        transport: whether pieces move. Default: True.
        effort: epsilon >= 0 of the transport: what a way costs. Default: 0.8.
        piece_size: pixels, at least, that a piece has a side, unless a block has less; there are at most 16 pieces a
            side, unless there are more blocks. Default: 4.
        resolution: share of the sides, in (0, 1], at which the network looks for what matters; 0.5 takes a quarter of
            the work. It needs a network that takes images of any size. Default: 1.
        num_classes: K. Default: that of the head or the samples.

    Shape:
        images (B, C, H, W) and samples of one class each -> new images, and samples with ``gt_score`` (K,), which sums
        to 1; or samples with label maps (1, H, W) -> new ones with maps. A batch of one stays.

    Raises:
        ValueError: for settings outside their range; in a call before the model is known, or for images whose sides no
            number of blocks divides.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        probability: float = 1.0,
        blocks: Sequence[int] = (2, 4, 8, 16),
        levels: int = 3,
        smoothness: float = 1.2,
        data_smoothness: float = 0.5,
        prior: float = 0.2,
        transport: bool = True,
        effort: float = 0.8,
        piece_size: int = 4,
        resolution: float = 1.0,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(alpha, probability, num_classes)
        if not are(blocks, lambda count: isinstance(count, int) and count > 1):
            raise ValueError(
                f'blocks of PuzzleMix must be a list of whole numbers above 1, at least one, got {blocks!r}'
            )
        check_share(data_smoothness, 'data_smoothness of PuzzleMix')
        if not is_number(resolution) or not 0 < resolution <= 1:
            raise ValueError(f'resolution of PuzzleMix must be in (0, 1], got {resolution}')
        least: dict[str, tuple[float, float]] = {'levels': (levels, 2), 'piece_size': (piece_size, 1)}
        least.update(smoothness=(smoothness, 0), prior=(prior, 0), effort=(effort, 0))
        for name, (value, limit) in least.items():
            if not is_number(value) or value < limit:
                raise ValueError(f'{name} of PuzzleMix must be at least {limit}, got {value!r}')
        self.blocks, self.levels = tuple(blocks), levels
        self.weights = {'smoothness': smoothness, 'data_smoothness': data_smoothness, 'prior': prior}
        self.transport, self.effort, self.piece_size = transport, effort, piece_size
        self.resolution = resolution
        self.model: Any = None

    def use_model(self, model: nn.Module) -> None:
        """Take the model whose loss says what matters."""
        super().use_model(model)
        self.model = model

    def __call__(self, images: Tensor, samples: Sequence | None) -> tuple[Tensor, list]:
        """Batch of either task -> the same, mixed."""
        found = list(samples or ())
        return self._move_labels(images, found) if map_names(found) else super().__call__(images, samples)

    def mix(self, images: Tensor, samples: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """Images whose blocks are of the image, its partner or both."""
        masks, partners, saliency = self.masks(images, samples, self.levels)
        others = images[partners]
        if self.transport:
            canvas = (images.shape[-2], images.shape[-1])
            pieces = piece_count(canvas, masks.shape[-1], self.piece_size)
            importance = block_importance(saliency, pieces)
            shown = enlarged(masks, (pieces, pieces))[:, 0]
            images = moved_pieces(images, best_moves(shown > 0, importance, self.effort))
            others = moved_pieces(others, best_moves(shown < 1, importance[partners], self.effort))
        weight = enlarged(masks, images.shape[-2:]).to(images)
        return weight * images + (1 - weight) * others, partners, masks.mean((1, 2))

    def masks(self, images: Tensor, samples: Sequence, levels: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw partners, and find for each image the blocks that stay its own.

        Returns:
            Shares (B, n, n) of the image in its blocks; 1 everywhere for an image that is not mixed. Partners (B,). The
            saliency (B, H, W).
        """
        blocks, count = self._draw_blocks((images.shape[-2], images.shape[-1])), len(samples)
        partners, shares = self.draw_partners(count).to(images.device), self.draw_shares(count).to(images.device)
        alone = partners == torch.arange(count, device=images.device)
        if bool(alone.all()):
            return images.new_ones(count, blocks, blocks), partners, images.new_zeros(images[:, 0].shape)
        saliency = self._saliency(images, samples, partners, (~alone).nonzero()[:, 0])
        energy = puzzle_energy(
            images, block_importance(saliency, blocks), partners, shares, levels=levels, **self.weights
        )
        masks = minimal_labels(energy).to(images.dtype) / (levels - 1)
        return masks.masked_fill(alone[:, None, None], 1.0), partners, saliency

    def _move_labels(self, images: Tensor, samples: list) -> tuple[Tensor, list]:
        canvas = (images.shape[-2], images.shape[-1])
        maps = {name: stack_maps(name, samples, canvas, 'PuzzleMix') for name in map_names(samples)}
        masks, partners, _ = self.masks(images, samples, levels=2)
        own = enlarged(masks, canvas) > 0
        inside = contents(content_sizes(samples, canvas) or [canvas] * len(samples), canvas).to(own.device)
        own |= ~(inside & inside[partners])  # padding is neither shown nor covered
        moved = {name: torch.where(own, stacked, stacked[partners]) for name, stacked in maps.items()}
        return torch.where(own, images, images[partners]), with_maps(samples, moved)

    def _draw_blocks(self, canvas: Size) -> int:
        fitting = block_counts(canvas, self.blocks)
        if not fitting:
            raise ValueError(
                f'no number of blocks in {self.blocks} divides the sides of images of {canvas}; set a crop size that '
                "one of them divides, or data_preprocessor.augments=[dict(type='mmdas.PuzzleMix', blocks=(...))]"
            )
        return fitting[int(torch.randint(len(fitting), ()))]

    def _saliency(self, images: Tensor, samples: Sequence, partners: Tensor, wanted: Tensor) -> Tensor:
        if self.model is None:
            raise ValueError(
                'PuzzleMix does not know the model whose gradients it needs; train by mmdas.AugmentHook, which the '
                'tools add, or call use_model(model)'
            )
        places = torch.cat([wanted, partners[wanted]]).unique()  # an image that no mask needs is not asked for
        asked, told = shrunk(images[places], [samples[place] for place in places.tolist()], self.resolution)
        found = loss_saliency(self.model, asked, told)
        saliency = images.new_zeros(images.shape[0], *images.shape[-2:], dtype=found.dtype)
        saliency[places] = F.interpolate(found[:, None], images.shape[-2:], mode='nearest-exact')[:, 0]
        return saliency


def shrunk(images: Tensor, samples: list, resolution: float) -> tuple[Tensor, list]:
    """Images and samples with sides of a share of theirs; label maps take the nearest pixel."""
    if resolution == 1:
        return images, samples
    canvas = (images.shape[-2], images.shape[-1])
    size = tuple(max(round(side * resolution), 1) for side in canvas)
    maps = {name: stack_maps(name, samples, canvas, 'PuzzleMix') for name in map_names(samples)}
    smaller = {
        name: F.interpolate(stacked.float(), size, mode='nearest-exact').to(stacked.dtype)
        for name, stacked in maps.items()
    }
    images = F.interpolate(images, size, mode='bilinear', antialias=True)
    return images, with_maps(samples, smaller) if maps else samples


def contents(sizes: Sequence[Size], canvas: Size) -> Tensor:
    """Which pixels (B, 1, H, W) are of contents in the upper left corner of a canvas."""
    inside = torch.zeros(len(sizes), 1, *canvas, dtype=torch.bool)
    for place, (height, width) in enumerate(sizes):
        inside[place, :, :height, :width] = True
    return inside
