"""Frames that part late: one stem on the image, whose feature map becomes the clip."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from mmdas.ops.clip import clip_to_frames

from .placement import AnySite, find_sites
from .token_placement import TokenSite

NAMED = 6  # places that a message names
Step = Callable[[Tensor], Tensor]


class PartingError(ValueError):
    """A place at which frames cannot part; the message names it and the remedy."""


class Parting:
    """Forward hook of the module behind which the frames of a backbone part.

    What comes before the module sees the image, (B, C, h, w), what comes behind it the frames, (B*T, C, h, w). An
    object and not a closure: copies of the backbone have their own.

    Args:
        place: path of the module in the backbone.
        tell: is called with the frames of a batch before anything behind the module runs.

    Attributes:
        frames: T of the batch that the backbone sees now; None before the frames part.
        images: B of the batch.
    """

    def __init__(self, place: str, tell: Callable[[int], None]) -> None:
        self.place, self.tell = place, tell
        self.frames: int | None = None
        self.images = 0
        self.step: Step | None = None

    @contextmanager
    def lent(self, step: Step) -> Iterator[None]:
        """Make clips by a step, feature maps (B, C, h, w) -> clip (B, T*C, h, w), for the time of one forward."""
        self.step, self.frames = step, None
        try:
            yield
        finally:
            self.step = self.frames = None

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            found = f'{tuple(output.shape)}' if isinstance(output, Tensor) else f'a {type(output).__name__}'
            raise PartingError(
                f'part_after={self.place!r} should give one feature map (B, C, h, w), but gives {found}; name another '
                'place of the backbone, or leave part_after out'
            )
        if self.frames is not None:
            raise PartingError(
                f'part_after={self.place!r} is called twice for an image, so that frames cannot part behind it; name '
                'another place of the backbone'
            )
        return self.part(output)

    def part(self, maps: Tensor) -> Tensor:
        """Feature maps of images (B, C, h, w) -> of their frames (B*T, C, h, w)."""
        self.check_lent()
        clip = self.step(maps)  # type: ignore[misc]  # there now
        self.frames, self.images = int(clip.shape[1]) // int(maps.shape[1]), maps.shape[0]
        self.tell(self.frames)
        return clip_to_frames(clip, self.frames)

    def check_lent(self) -> None:
        """Check that there is a step from maps to clips.

        Raises:
            PartingError: if none is lent.
        """
        if self.step is None:
            raise PartingError(
                f'the frames of this backbone part after {self.place!r}, but its model does not hand over the step '
                "from image to clip; set model.type='mmdas.DASImageClassifier', 'mmdas.DASEncoderDecoder' or "
                "'mmdas.DASCascadeEncoderDecoder', or leave part_after out"
            )

    def part_all(self, outputs: Any, batch: int) -> Any:
        """Outputs of the backbone, those of before the place made frames as well."""
        if isinstance(outputs, Tensor):
            is_early = self.frames != 1 and outputs.shape[0] == batch
            return self.part(outputs) if is_early else outputs
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.part_all(output, batch) for output in outputs)
        if isinstance(outputs, dict):
            return {key: self.part_all(output, batch) for key, output in outputs.items()}
        return outputs

    def check_passed(self, module: nn.Module, inputs: Any) -> None:
        """Pre-hook of what needs frames: refuse to run before they part, or on what does not part."""
        if self.frames is None:
            raise PartingError(
                f'a fusion runs before the frames part after {self.place!r}; name the convolutions behind it by '
                'stages=[...] of FrameFusionBackbone (--sites), or an earlier place'
            )
        if inputs[0].shape[0] != self.images * self.frames:
            raise PartingError(self.explain_path())

    def explain_path(self) -> str:
        """What to do where features of the image come around the place."""
        return (
            f'part_after={self.place!r} lies within a block or beside another path: features of the image come around '
            'it to those of the frames; name the end of a stage or block, such as layer1 or layer2.0, or leave '
            'part_after out'
        )


def find_place(backbone: nn.Module, place: str | int) -> str:
    """Path of the module behind which frames part.

    Args:
        backbone: the host's backbone.
        place: path of a module, such as ``'layer1'`` or ``'stages.0'``, or a number of stages with residual blocks.

    Raises:
        PartingError: if there is none; it names some.
    """
    if isinstance(place, bool) or not isinstance(place, (str, int)):
        raise PartingError(
            f"part_after={place!r} is a {type(place).__name__}; give the path of a part such as 'layer1', a number "
            'of stages, or None for clips of images'
        )
    paths = [path for path, _ in backbone.named_modules() if path]
    if isinstance(place, str):
        if place in paths:
            return place
        outer = [path for path in paths if path.count('.') == 0]
        raise PartingError(
            f'part_after={place!r}: {type(backbone).__name__} has no such part; it has {", ".join(outer[:NAMED])}, ...'
        )
    stages = list(dict.fromkeys(site.stage for site in find_sites(backbone)))
    if not 1 <= place < len(stages):
        raise PartingError(
            f'part_after={place}: {type(backbone).__name__} has the stages {", ".join(stages)}; give 1 to '
            f'{len(stages) - 1}, or the path of a part'
        )
    return stages[place - 1]


def sites_behind(backbone: nn.Module, place: str, sites: Sequence[AnySite], are_named: bool) -> list[AnySite]:
    """The sites of fusion behind the place at which frames part, in the order of the backbone's parts.

    Args:
        backbone: the host's backbone.
        place: path of a module.
        sites: to choose from.
        are_named: whether the user has named each of them.

    Raises:
        PartingError: if none is behind it, or not all that are named; or for tokens, which are no feature maps.
    """
    order = {path: position for position, (path, _) in enumerate(backbone.named_modules())}
    last = max(position for path, position in order.items() if f'{path}.'.startswith(f'{place}.'))
    behind = [site for site in sites if order[site.first if not isinstance(site, TokenSite) else site.part] > last]
    if any(isinstance(site, TokenSite) for site in sites):
        raise PartingError(
            f'part_after={place!r} parts feature maps, but {type(backbone).__name__} fuses tokens; leave part_after out'
        )
    if not behind or (are_named and len(behind) < len(sites)):
        early = [site.first for site in sites if site not in behind and not isinstance(site, TokenSite)]
        raise PartingError(
            f'frames part after {place!r}, so that nothing is fused at {", ".join(early[:NAMED])}; fuse behind it '
            '(stages=[...] of FrameFusionBackbone, --sites), part earlier, or go without fusion: --fusion none '
            '(fusion=None)'
        )
    return behind
