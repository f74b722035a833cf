"""The gates of a trained model on files, folders and arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from torch import Tensor

from mmdas.analysis import frames_of, fusion_gates, to_picture
from mmdas.analysis.gates import gated_fusions
from mmdas.ops.clip import frame_offsets
from mmdas.search.das.operation import Size

from .analysis import Analyzer
from .image_inputs import Images


@dataclass(frozen=True)
class SiteGates:
    """The gates of one place of the network on an image.

    Args:
        site: name of the place, as in the checkpoint, such as ``'layer1_0_conv2'``.
        gates: (T, 2, h, w), float32, in [-1, 1], of the cells that the image reaches: what goes one frame back, and
            what goes one frame forth.
        shown: (H, W) of the image that these cells stand for, in pixels; the last ones may reach into the padding.
    """

    site: str
    gates: np.ndarray
    shown: tuple[float, float]

    @property
    def strength(self) -> np.ndarray:
        """(T, h, w), the mean of ``|g|`` over the two gates."""
        return np.abs(self.gates).mean(1)


@dataclass(frozen=True)
class ImageGates:
    """The gates of all places on an image.

    Args:
        image: path of the file, or its number.
        frames: (T, H, W, 3), uint8, RGB: the frames that the network sees, without padding.
        sites: from the entrance of the network on.
    """

    image: str
    frames: np.ndarray
    sites: tuple[SiteGates, ...]

    @property
    def strongest(self) -> SiteGates:
        """The place with the largest mean of ``|g|``."""
        return max(self.sites, key=lambda site: float(site.strength.mean()))

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them: the means of ``|g|`` of each frame, of both gates together and of each."""
        sites = []
        for one in self.sites:
            back, forth = np.abs(one.gates).mean((2, 3), dtype=np.float64).T.round(6).tolist()
            mean = one.strength.mean((1, 2), dtype=np.float64).round(6).tolist()
            highest, cells = round(float(np.abs(one.gates).max()), 6), list(one.gates.shape[-2:])
            sites.append(dict(site=one.site, cells=cells, mean=mean, back=back, forth=forth, highest=highest))
        offsets = frame_offsets(len(self.frames)).int().tolist()
        return {'image': self.image, 'size': list(self.frames.shape[1:3]), 'frames': offsets, 'sites': sites}


def read_gates(analyzer: Analyzer, images: Images) -> Iterator[ImageGates]:
    """The gates of one image after the other.

    Args:
        analyzer: of a model with GSM or GSF.
        images: as of :class:`mmdas.apis.Inferencer`.

    Raises:
        AnalysisError: if the model has no gates.
        ValueError: as of :class:`mmdas.apis.Inferencer`.
    """
    network, inferencer = analyzer.network, analyzer.inferencer
    gated_fusions(network.model)
    found = inferencer.expand(images)
    for number, (image, data) in enumerate(zip(found, inferencer.batches(found), strict=True)):
        with network.evaluating():
            batch = network.read(data)
            height, width = batch.sizes[0]
            frames = [
                to_picture(frame[:, :height, :width], network.preprocessor, analyzer.order)
                for frame in frames_of(network, batch)[0]
            ]
            canvas = (int(batch.images.shape[-2]), int(batch.images.shape[-1]))
            sites = tuple(
                cut_to_content(site, gates[0], canvas, batch.sizes[0])
                for site, gates in fusion_gates(network, batch).items()
            )
        yield ImageGates(image if isinstance(image, str) else str(number), np.stack(frames), sites)


def cut_to_content(site: str, gates: Tensor, canvas: Size, size: Size) -> SiteGates:
    """Gates (T, 2, h, w) over a canvas -> those of the cells that the content of that size reaches."""
    cells = (int(gates.shape[-2]), int(gates.shape[-1]))
    strides = [whole / count for whole, count in zip(canvas, cells, strict=True)]
    rows, columns = (ceil(side / stride) for side, stride in zip(size, strides, strict=True))
    shown = (rows * strides[0], columns * strides[1])
    return SiteGates(site, gates[..., :rows, :columns].float().cpu().numpy(), shown)
