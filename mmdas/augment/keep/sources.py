"""Where the saliency of a batch comes from: the network, the network at a lower resolution, or an early head."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from mmdas.ops.saliency import input_saliency

from .early import EarlySaliency
from .network import Network
from .scores import check_options, label_scores


class SaliencySource(Protocol):
    """What gives the saliency of a batch."""

    learns: bool  # whether it needs to see some of each batch

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained."""

    def __call__(self, images: Tensor, samples: Sequence) -> Tensor:
        """Images (B, C, H, W), B > 0, and their samples -> saliency (B, H, W), >= 0."""


class NetworkSaliency:
    """Saliency of the labels in the whole network (Gong et al. 2021, Sec. 3.1, and *low resolution* in Sec. 3.3).

    Args:
        score: ``'logit'`` of the label (default), or ``'loss'``.
        resolution: factor of the sides at which the backbone sees the clip, in (0, 1]. Default: 1.

    Raises:
        ValueError: for another score or resolution.
    """

    learns = False

    def __init__(self, score: str = 'logit', resolution: float = 1.0) -> None:
        check_options(score, resolution)
        self.score, self.resolution = score, resolution
        self._network: Any = None

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained."""
        self._network = Network(model)

    def __call__(self, images: Tensor, samples: Sequence) -> Tensor:
        """Images (B, C, H, W), B > 0, and their samples -> saliency (B, H, W)."""

        def score(pixels: Tensor) -> Tensor:
            logits = self._network.logits(pixels, samples, self.resolution)
            return label_scores(logits, samples, self.score, self._network.ignore_index)

        return input_saliency(score, images)


LOW = 0.5  # of the sides
KINDS = {
    'full': NetworkSaliency,
    'low': lambda score='logit', resolution=LOW: NetworkSaliency(score, resolution),
    'early': EarlySaliency,
}


def build_source(saliency: str | Mapping | SaliencySource) -> SaliencySource:
    """The source of saliency that a config names.

    Args:
        saliency: ``'full'``, ``'low'`` or ``'early'``, or a dict of such a ``type`` and options of its class, or a
            source.

    Raises:
        ValueError: for another word, or options that the class does not have.
    """
    if not isinstance(saliency, (str, Mapping)):
        return saliency
    options = {'type': saliency} if isinstance(saliency, str) else dict(saliency)
    kind = options.pop('type', None)
    if kind not in KINDS:
        raise ValueError(f'saliency must be one of {list(KINDS)}, or a dict of such a type, got {saliency!r}')
    try:
        return KINDS[kind](**options)  # type: ignore[operator]
    except TypeError as error:
        raise ValueError(f'saliency={saliency!r}: {error}') from error
