"""What an exported file says of itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mmdas.version import __version__

from .error import ExportError
from .network import DeployableNetwork

PREFIX = 'mmdas.'  # of the keys in the metadata of an ONNX file


@dataclass(frozen=True)
class Description:
    """The metadata of an exported file: all that a caller has to know, as plain data.

    Args:
        task: ``'classification'`` or ``'segmentation'``.
        output: what the graph gives, see :class:`DeployableNetwork`.
        input: ``'pixels'`` (RGB, or grey; 0 to 255 for 8 bits) or ``'normalised'``.
        channels: C of an image.
        size: (H, W) of the input; None for any.
        size_divisor: what both sides must be a multiple of.
        mean, std: of the normalisation, in pixel values and the network's order of colours; for pixels it is in the
            graph already. Empty where there is none.
        channel_order: of the network's colours; a normalised input has it.
        classes: names, as far as they are known.
        num_frames: T of the clips; 1 for a plain model.
        used_frames: frames of them that the network sees.
        policy: content of the policy file; None for equal frames or a plain model.
        views: content of the policy of views that the graph looks at; None for the image alone.
        mode: ``'whole'``, or ``'slide'`` where the input is a window of an image.
        crop, stride: of slide inference, (h, w); None for whole images.
        pipeline: steps of the config's test that prepare an image, for the caller to do.
        mmdas: version that wrote the file.
    """

    task: str
    output: str
    input: str
    channels: int
    size: tuple[int, int] | None
    size_divisor: int = 1
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channel_order: str = 'rgb'
    classes: tuple[str, ...] = ()
    num_frames: int = 1
    used_frames: int = 1
    policy: Mapping[str, Any] | None = None
    views: Mapping[str, Any] | None = None
    mode: str = 'whole'
    crop: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    pipeline: tuple[Mapping[str, Any], ...] = field(default=())
    mmdas: str = __version__

    def to_texts(self) -> dict[str, str]:
        """Key -> value as JSON, with the prefix that keeps other tools' keys apart."""
        return {PREFIX + key: json.dumps(value) for key, value in asdict(self).items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], where: str) -> 'Description':
        """Inverse of :meth:`to_texts`; other keys do not count.

        Args:
            texts: of the file.
            where: its name, for the error.

        Raises:
            ExportError: if the file says nothing of this kind.
        """
        known = {entry.name for entry in fields(cls)}
        found = {key.removeprefix(PREFIX): value for key, value in texts.items() if key.startswith(PREFIX)}
        try:
            values: dict[str, Any] = {key: json.loads(value) for key, value in found.items() if key in known}
            tuples: dict[str, Any] = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
            return cls(**{**values, **tuples})
        except (TypeError, ValueError) as error:
            raise ExportError(f'{where} has no metadata of mmdas export ({error}); export the model again') from error


def describe(network: DeployableNetwork, size: tuple[int, int] | None, **known: Any) -> Description:
    """Description of a network, as far as the network itself knows.

    Args:
        network: what is exported.
        size: (H, W) of the input, None for any.
        **known: further fields of :class:`Description`, such as ``classes``.
    """
    preprocessor, test_cfg = network.preprocessor, getattr(network.model, 'test_cfg', None) or {}
    clip: Any = getattr(preprocessor, 'policy', None)
    frames = getattr(preprocessor, 'num_frames', 1)
    normalised = bool(getattr(preprocessor, '_enable_normalize', False))
    slides = network.label_maps and test_cfg.get('mode') == 'slide'
    divisor = (getattr(preprocessor, 'test_cfg', None) or {}).get('size_divisor') or 1
    return Description(
        task='segmentation' if network.label_maps else 'classification',
        output=network.output,
        input='pixels' if network.pixels else 'normalised',
        channels=network.channels,
        size=size,
        size_divisor=max(divisor, getattr(preprocessor, 'pad_size_divisor', 1) or 1),
        mean=tuple(network.mean.flatten().tolist()) if normalised else (),
        std=tuple(network.std.flatten().tolist()) if normalised else (),
        channel_order=network.channel_order,
        num_frames=frames,
        used_frames=getattr(preprocessor, 'used_frames', None) or frames,
        policy=clip.policy.to_dict() if hasattr(clip, 'policy') else None,
        views=None if network.views is None else network.views.to_dict(),
        mode='slide' if slides else 'whole',
        crop=tuple(test_cfg['crop_size']) if slides else None,
        stride=tuple(test_cfg['stride']) if slides else None,
        **known,
    )
