"""A trained model as a function from images to scores, with nothing that a graph cannot hold."""

import copy
from collections import UserList
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.distillation.logits import pick_logits
from mmdas.models.frame_count import FrameCount
from mmdas.models.views.view_model import ViewModel
from mmdas.search.test_time import View, ViewPolicy, to_logits, to_probabilities, weighted_mean

from .draws import FixedDraws
from .error import ExportError


def to_labels(logits: Tensor) -> Tensor:
    """Number of the largest class (B, ...), int64; of a single channel, 1 for a positive logit."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


OUTPUTS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {'logits': lambda logits: logits, 'probabilities': to_probabilities, 'labels': to_labels}
)


class DeployableNetwork(nn.Module):
    """A classifier or segmentor, plain or of DAS, from pixels to scores: normalisation, clip, network, pooling.

    The model is copied. Images fill their batch: nothing is padded, so that every image of a batch has one size, which
    ``size_divisor`` of the data preprocessor must divide. A segmentor predicts over the whole input, whatever its
    ``test_cfg.mode`` is; of slide inference, the input is a window.

    Random operations of a policy (noise, cutout) draw in a test from the policy's own seed, the same for every image.
    :meth:`fix_draws` keeps these draws as constants.

    Of a model with views, the graph looks at all of them and gives the logarithms of their mean probabilities. It has
    one size.

    Args:
        model: of MMPretrain or MMSegmentation, with its weights, or a :class:`mmdas.models.ViewModel` of it.
        channel_order: in which the network takes colours: ``'rgb'`` or ``'bgr'``. The input is RGB.
        pixels: whether the input is what a file holds (0 to 255 for 8 bits); else it is normalised and in the network's
            own order. Default: True.
        output: ``'logits'`` (default), ``'probabilities'`` (softmax, or the sigmoid of a single channel) or
            ``'labels'``.

    Shape:
        images (B, C, H, W), floating point -> (B, K) of a classification, (B, K, H, W) of a segmentation; of labels
        (B,) and (B, H, W), int64.

    Raises:
        ExportError: for a model with neither a class for each image nor one for each pixel, labels or probabilities of
            a classifier of several labels, views of slide inference, or an unknown option.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, channel_order: str = 'rgb', pixels: bool = True, output: str = 'logits'
    ) -> None:
        super().__init__()
        wrapper = model if isinstance(model, ViewModel) else None
        model = model if wrapper is None else wrapper.module
        check_options(model, channel_order, output)
        self.model: Any = copy.deepcopy(model).eval().requires_grad_(False)
        self.views: ViewPolicy | None = None  # the image alone
        self.view_pixels = None if wrapper is None else copy.deepcopy(wrapper.pixels)
        if wrapper is not None and not wrapper.policy.is_image:
            check_windows(model)
            self.views = wrapper.policy
        preprocessor: Any = self.model.data_preprocessor
        self.label_maps = getattr(model, 'decode_head', None) is not None
        self.channel_order, self.pixels, self.output = channel_order, pixels, output
        owns_clip = isinstance(preprocessor, ImageToClip)
        self.makes_clips = owns_clip and not preprocessor.gives_images if wrapper is None else wrapper.makes_clips
        if owns_clip:
            for module in self.model.modules():
                if isinstance(module, FrameCount):
                    module.tell(preprocessor.num_frames)
        normalised = bool(getattr(preprocessor, '_enable_normalize', False))
        self.register_buffer('mean', preprocessor.mean.clone() if normalised else torch.zeros(1, 1, 1))
        self.register_buffer('std', preprocessor.std.clone() if normalised else torch.ones(1, 1, 1))
        self.draws = FixedDraws()

    @property
    def preprocessor(self) -> Any:
        """The model's data preprocessor."""
        return self.model.data_preprocessor

    @property
    def channels(self) -> int:
        """Channels C of an image: those of the normalisation, or of the network's first convolution."""
        if self.mean.numel() > 1:
            return self.mean.numel()
        backbone = self.model.backbone
        first = next((module for module in backbone.modules() if isinstance(module, nn.Conv2d)), None)
        return getattr(backbone, 'image_channels', getattr(first, 'in_channels', 3))

    @property
    def random_operations(self) -> tuple[str, ...]:
        """Names of the operations of the policy that draw random numbers."""
        clip = self.preprocessor.image_to_clip if isinstance(self.preprocessor, ImageToClip) else None
        return tuple(sorted({operation.name for operation in getattr(clip, 'operations', ()) if operation.random}))

    @torch.no_grad()
    def fix_draws(self, image: Tensor) -> None:
        """Keep what random operations draw for an image (1, C, H, W), for all images of its size from now on."""
        if self.random_operations:
            with self.draws.noting():
                self(image)

    def forward(self, images: Tensor) -> Tensor:
        with self.draws.giving(images.shape[0]) if torch.compiler.is_compiling() else nullcontext():
            return OUTPUTS[self.output](self.logits(self.normalise(images)))

    def normalise(self, images: Tensor) -> Tensor:
        """RGB pixels -> what the network's data preprocessor makes of them; normalised images as they are."""
        if not self.pixels:
            return images
        swapped = self.channel_order == 'bgr' and images.shape[1] == 3
        return ((images.flip(1) if swapped else images) - self.mean) / self.std

    def logits(self, images: Tensor) -> Tensor:
        """Normalised images -> (B, K) or (B, K, H, W)."""
        if self.views is None:
            return self.logits_of(images)
        parts = zip(self.views.weights, self.views.views, strict=True)
        return to_logits(weighted_mean((weight, *self.look_at(view, images)) for weight, view in parts))

    def look_at(self, view: View, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Probabilities of a view, carried back to the images, and which pixels it shows (None: all)."""
        probabilities = to_probabilities(self.logits_of(view.apply(images, self.view_pixels)))
        if not self.label_maps:
            return probabilities, None
        return view.undo(probabilities, (images.shape[-2], images.shape[-1]))

    def logits_of(self, images: Tensor) -> Tensor:
        """Of normalised images or of a view of them."""
        inputs = self.preprocessor.to_clip(images) if self.makes_clips else images
        if not self.label_maps:
            return pick_logits(self.model(inputs, mode='tensor'), None, type(self.model.head).__name__)
        shape = images.shape[2:]
        # No list, whose length would say how many images there are: the graph takes any number.
        meta = UserList([{'img_shape': shape, 'pad_shape': shape, 'ori_shape': shape}])
        return self.model.encode_decode(inputs, meta)


def check_options(model: nn.Module, channel_order: str, output: str) -> None:
    """Raise an ExportError for a model that has no such output, or an unknown option."""
    if channel_order not in ('rgb', 'bgr'):
        raise ExportError(f"channel_order is {channel_order!r}, expected 'rgb' or 'bgr'")
    if output not in OUTPUTS:
        raise ExportError(f'output is {output!r}, expected one of {tuple(OUTPUTS)}')
    kind = type(model).__name__
    head = getattr(model, 'decode_head', None) or getattr(model, 'head', None)
    if head is None or not hasattr(model, 'backbone'):
        raise ExportError(
            f'{kind} has no head that predicts classes; classifiers of MMPretrain and segmentors of MMSegmentation are '
            'exported, without wrappers: leave --tta out'
        )
    if getattr(model.data_preprocessor, 'cell', None) is not None:
        raise ExportError('the model is that of a search, whose frames are mixtures; train with its policy first')
    several = any('MultiLabel' in base.__name__ for base in type(head).__mro__)
    if several and output != 'logits':
        raise ExportError(f"{type(head).__name__} predicts several labels of an image; take output='logits'")


def check_windows(model: Any) -> None:
    """Raise an ExportError for a model whose views are no views of the graph's input."""
    if (getattr(model, 'test_cfg', None) or {}).get('mode') == 'slide':
        raise ExportError(
            'the model predicts by windows, which are the input of its graph, but its views are of whole images; leave '
            "the --policy of views out, or test the model with test_cfg.mode='whole'"
        )
