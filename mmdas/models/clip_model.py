"""The step from image to clip within a model: at the entrance of its backbone, or behind a stage of it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from mmdas.search.das.operation import Size

from .aligned_fusions import check_alignable, hand_over_warps
from .data_preprocessors import ImageToClip
from .data_preprocessors.content_mask import split_content_mask
from .frame_count import FrameCount
from .settings import Parent


class ClipModel(Parent):
    """Mixin of a model whose inputs stay images until its backbone takes them.

    The data preprocessor owns the cell or policy; this asks it for the clip of whatever the backbone is about to see.
    A backbone with ``part_after`` takes the images and makes the clip of its own feature maps: it is lent the step.
    Backbone and heads that leave ``num_frames`` open are told that of the data preprocessor.

    Shape:
        inputs (B, C, H, W), without frames, or with a further channel that marks their contents.

    Attributes:
        own_preprocessor: type of the data preprocessor of DAS, for messages.

    Raises:
        ValueError: if the data preprocessor is none of DAS, or the frames of its policy have no single warp each for
            fusions with ``aligned=True``, or its operations are no warps where frames part behind a
            stage.
    """

    own_preprocessor = ''

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.data_preprocessor, ImageToClip):
            raise ValueError(
                f'{type(self).__name__} makes clips with the data preprocessor, but '
                f'{type(self.data_preprocessor).__name__} has none; use {self.own_preprocessor}'
            )
        self.data_preprocessor.gives_images = True
        for module in self.modules():
            if isinstance(module, FrameCount):
                module.tell(self.data_preprocessor.num_frames)
        check_alignable(self)
        if self._parting() is not None:
            self.data_preprocessor.check_warps()

    def extract_feat(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Features of the clip of images, or of windows of them (B, C or C + 1, h, w)."""
        images, sizes = split_content_mask(inputs, self._channels(inputs))
        canvas, preprocessor = (images.shape[-2], images.shape[-1]), self.data_preprocessor
        parting = self._parting()
        if parting is None:
            clip = preprocessor.to_clip(images, sizes)
            self._tell_warps(canvas, sizes, images.shape[0])
            self._follow(preprocessor.frames_now)
            return super().extract_feat(clip, *args, **kwargs)
        preprocessor.choose_frames()
        self._follow(preprocessor.frames_now)
        with parting.lent(partial(self._part, canvas=canvas, sizes=sizes)):
            return super().extract_feat(images, *args, **kwargs)

    def _part(self, maps: Tensor, canvas: Size, sizes: Sequence[Size] | None) -> Tensor:
        """Clip of feature maps (B, C, h, w); what aligns frames is told of their warps, which act on whole cells."""
        preprocessor = self.data_preprocessor
        clip = preprocessor.maps_to_clip(maps, canvas, sizes)
        if self._parting().frames is None:  # not of an output from before the place
            shown, contents = preprocessor.shown_by_maps(maps, canvas, sizes)
            self._tell_warps(shown, contents, maps.shape[0])
        return clip

    def _tell_warps(self, canvas: Size, sizes: Sequence[Size] | None, batch: int) -> None:
        """Tell fusions and poolings that align how the frames of the latest clips were warped."""
        self.data_preprocessor.sizes_now = sizes
        hand_over_warps(self, canvas, batch)
        for pooling in self._aligned():
            pooling.unwarp = partial(self.data_preprocessor.unwarp, canvas=canvas, sizes=sizes)

    def _follow(self, num_frames: int) -> None:
        """Tell the parts that take any number of frames how many come."""
        for module in self.modules():
            if isinstance(module, FrameCount) and module.any_frames:
                module.follow(num_frames)

    def _channels(self, inputs: Tensor) -> int:
        """Channels of an image; a backbone without frames of ours does not say."""
        return getattr(self.backbone, 'image_channels', inputs.shape[1])

    def _parting(self) -> Any:
        """Where the frames part in the backbone; None at its entrance."""
        return getattr(self.backbone, 'parting', None)

    def _aligned(self) -> list:
        """The poolings that carry predictions back to the image."""
        poolings = (getattr(module, 'temporal_pooling', None) for module in self.modules())
        return [pooling for pooling in poolings if pooling is not None and pooling.aligns]
