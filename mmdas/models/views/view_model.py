"""A trained model that looks at several views of every image, by a policy of test time."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseTTAModel
from torch import Tensor, nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.data_preprocessors.pixel_values import check_grey, find_max_value, names
from mmdas.search.das import Pixels, get_operation
from mmdas.search.das.operation import Size
from mmdas.search.test_time import View, ViewPolicy, to_logits, weighted_mean

Seen = tuple[Tensor, Tensor | None]  # probabilities, and which pixels the view shows (None: all)


class ViewModel(BaseTTAModel):
    """Wrap a model so that its prediction is the weighted mean of those of several views of the image.

    Views are taken of the normalised image's content, without what pads it, after the data preprocessor; a model of DAS
    makes a clip of each. Weights are loaded into the wrapped model, whose checkpoints stay plain. With the image alone
    every prediction is that of the wrapped model.

    ``model(images)``, as an export calls it, gives the logarithm of the mean probabilities, or the logit of a single
    channel; of a segmentation (B, K, H, W) in the size of the images.

    Args:
        module: the model or its config.
        policy: file of a policy of the kind ``'test-time'``, its content as a dict, or the policy. Default: the image
            alone.
        channel_order: of the network's images, ``'rgb'`` or ``'bgr'``, for operations on colours. Default: RGB where
            the data preprocessor converts, else as the toolbox reads.
        data_preprocessor: of the model, where its config has none.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it is no policy of test time.
        ValueError: for operations on colours where the pixels are not known.
    """

    policy: ViewPolicy

    def __init__(
        self,
        module: nn.Module | dict,
        policy: str | Path | Mapping | ViewPolicy | None = None,
        channel_order: str | None = None,
        data_preprocessor: nn.Module | dict | None = None,
    ) -> None:
        super().__init__(module, data_preprocessor)
        self.channel_order = channel_order
        self.pixels: Pixels | None = None
        preprocessor = self.module.data_preprocessor
        self.makes_clips = isinstance(preprocessor, ImageToClip) and not preprocessor.gives_images
        if self.makes_clips:
            preprocessor.gives_images = True  # views are taken before the clip
        self.use(read(policy))

    def use(self, policy: ViewPolicy) -> None:
        """Take another policy.

        Raises:
            ValueError: as the constructor.
        """
        self.check_views(policy.views)
        self.policy = policy

    def check_views(self, views: Iterable[View], channels: int | None = None) -> None:
        """Find out what the pixels are, where views change colours.

        Args:
            views: that are to be used.
            channels: of the images, where they are known.

        Raises:
            ValueError: if that is not known, or the images have no colours.
        """
        operations = [get_operation(view.operation) for view in views if view.changes_colours]
        if not operations:
            return
        preprocessor = self.module.data_preprocessor
        normalised = bool(getattr(preprocessor, '_enable_normalize', False))
        mean = preprocessor.mean.flatten().tolist() if normalised else [0.0]
        std = preprocessor.std.flatten().tolist() if normalised else [1.0]
        check_grey(channels or (len(mean) if normalised else 3), operations)
        white = getattr(preprocessor, 'max_value', None) or find_max_value(mean, std, operations)
        order = self._channel_order()
        if order is None and any(operation.reads_grey for operation in operations):
            raise ValueError(
                f'{names(operations)} must know the order of the colours; set channel_order of {type(self).__name__} '
                "to 'rgb' (data sets in memory such as CIFAR) or 'bgr' (files)"
            )
        self.pixels = Pixels(mean, std, white, order or 'rgb').to(next(self.module.parameters()).device)

    def _channel_order(self) -> str | None:
        """Order of the colours that the network takes, None where it is not known."""
        preprocessor = self.module.data_preprocessor
        converts = any(getattr(preprocessor, name, False) for name in ('to_rgb', 'channel_conversion'))
        return self.channel_order or getattr(preprocessor, 'channel_order', None) or ('rgb' if converts else None)

    @torch.no_grad()
    def test_step(self, data: Any) -> list:
        """Predictions of a batch as the data loader gives it."""
        images, samples, sizes = self.preprocess(data)
        return self.predict(images, samples, sizes)

    def val_step(self, data: Any) -> list:
        """As :meth:`test_step`."""
        return self.test_step(data)

    def preprocess(self, data: Any) -> tuple[Tensor, list | None, list[Size]]:
        """A batch of the data loader -> normalised images (B, C, H, W), their samples, and the sizes of their contents.

        Contents lie in the upper left corner; the rest is padding.
        """
        sizes = [tuple(image.shape[-2:]) for image in data['inputs']]
        data = self.module.data_preprocessor(data, False)
        return data['inputs'], data.get('data_samples'), sizes

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """As of the wrapped model, of which there is no training here.

        Raises:
            ValueError: for another mode than ``'tensor'`` and ``'predict'``.
        """
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode != 'tensor':
            raise ValueError(f'mode is {mode!r}, but views are for tests; train the model without them')
        return to_logits(self.mean(inputs, data_samples, None))

    def predict(self, images: Tensor, samples: list | None = None, sizes: Sequence[Size] | None = None) -> list:
        """Samples with the prediction of the mean probabilities."""
        if self.policy.is_image:
            return self.predict_image(images, samples, sizes)
        return self.to_samples(self.mean(images, samples, sizes), samples)

    def mean(self, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> Tensor:
        """Weighted mean of the probabilities of all views, (B, K) or (B, K, H, W)."""
        shown = self.look(self.policy.views, images, samples, sizes)
        return weighted_mean((weight, *part) for weight, part in zip(self.policy.weights, shown, strict=True))

    def look(
        self, views: Iterable[View], images: Tensor, samples: list | None, sizes: Sequence[Size] | None
    ) -> Iterator[Seen]:
        """Probabilities of one view after the other, carried back to the images, and which pixels each shows."""
        for view in views:
            yield self.look_at(view, images, samples, sizes)

    def to_clip(self, images: Tensor, sizes: Sequence[Size] | None) -> Tensor:
        """What the network takes for images with contents of these sizes."""
        return self.module.data_preprocessor.to_clip(images, sizes) if self.makes_clips else images

    @abstractmethod
    def predict_image(self, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> list:
        """Samples with the prediction of the wrapped model."""

    @abstractmethod
    def look_at(self, view: View, images: Tensor, samples: list | None, sizes: Sequence[Size] | None) -> Seen:
        """Probabilities of a view, carried back to the images, and which pixels it shows."""

    @abstractmethod
    def to_samples(self, probabilities: Tensor, samples: list | None) -> list:
        """Samples with the prediction that probabilities stand for."""

    def merge_preds(self, data_samples_list: Any) -> list:
        """Not there: views are made here, and not by a pipeline."""
        raise NotImplementedError(
            f'{type(self).__name__} makes the views itself; leave TestTimeAug out of the pipeline, and --tta'
        )


def read(policy: str | Path | Mapping | ViewPolicy | None) -> ViewPolicy:
    """The policy of a file, of plain data, or as it is."""
    if isinstance(policy, ViewPolicy):
        return policy
    if policy is None:
        return ViewPolicy()
    return ViewPolicy.from_dict(policy, 'model.policy') if isinstance(policy, Mapping) else ViewPolicy.load(policy)


def warp_contents(
    view: View, images: Tensor, sizes: Sequence[Size] | None, divisor: int, pixels: Pixels | None
) -> tuple[Tensor, list[Size]]:
    """A view of every image of a padded batch.

    Args:
        view: of which.
        images: (B, C, H, W).
        sizes: of their contents, in the upper left corner; None: all is content.
        divisor: of the sides of what the network takes.
        pixels: see :meth:`View.apply`.

    Returns:
        (B, C, H', W'), padded with zeros, and the sizes of the contents there.
    """
    canvas = tuple(images.shape[-2:])
    sizes = [canvas] * len(images) if sizes is None else [(min(h, canvas[0]), min(w, canvas[1])) for h, w in sizes]
    if all(size == canvas for size in sizes) and divisor == 1:
        return view.apply(images, pixels), [view.resized(canvas)] * len(images)
    height, width = (-(-side // divisor) * divisor for side in view.resized(canvas))
    batch = images.new_zeros(len(images), images.shape[1], height, width)
    for size in sorted(set(sizes)):
        places = [place for place, one in enumerate(sizes) if one == size]
        seen = view.apply(images[places, :, : size[0], : size[1]], pixels)
        batch[places, :, : seen.shape[-2], : seen.shape[-1]] = seen
    return batch, [view.resized(size) for size in sizes]


def unwarp_contents(
    view: View, maps: Tensor, shape: Size, sizes: Sequence[Size] | None, canvas: Size
) -> tuple[Tensor, Tensor]:
    """Carry maps of a view of a padded batch back.

    Args:
        view: of which.
        maps: (B, K, h, w), of any resolution, over the whole batch of views.
        shape: (H', W') of the batch of views.
        sizes: of the contents of the images; None: all is content.
        canvas: (H, W) of the batch of images.

    Returns:
        (B, K, H, W), and which pixels the view shows (B, 1, H, W). The padding has equal probabilities.
    """
    if tuple(maps.shape[-2:]) != tuple(shape):
        raise ValueError(
            f'the network gave maps of {tuple(maps.shape[-2:])} for views of {tuple(shape)}; views of segmentations '
            'need maps in the size of the input'
        )
    sizes = [canvas] * len(maps) if sizes is None else [(min(h, canvas[0]), min(w, canvas[1])) for h, w in sizes]
    if all(size == canvas for size in sizes) and tuple(shape) == view.resized(canvas):
        return view.undo(maps, canvas)
    back = maps.new_full((*maps.shape[:2], *canvas), 1 / maps.shape[1] if maps.shape[1] > 1 else 0.5)
    seen = maps.new_ones(len(maps), 1, *canvas)
    for size in sorted(set(sizes)):
        places = [place for place, one in enumerate(sizes) if one == size]
        height, width = view.resized(size)
        content, shown = view.undo(maps[places, :, :height, :width], size)
        back[places, :, : size[0], : size[1]] = content
        seen[places, :, : size[0], : size[1]] = shown
    return back, seen
