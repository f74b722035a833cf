"""A trained model as a function from normalised images to logits, which analyses can differentiate."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.augment.content import content_sizes
from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.data_preprocessors.content_mask import add_content_mask
from mmdas.models.distillation.logits import pick_logits
from mmdas.models.distillation.teacher import clips_as_in_training
from mmdas.models.heads.temporal_pooling import TemporalPooling
from mmdas.search.das.operation import Size


class AnalysisError(ValueError):
    """A model, an image or an option that an analysis cannot use."""


@dataclass(frozen=True)
class Batch:
    """Images as the network takes them.

    Args:
        images: (B, C, H, W), normalised and padded.
        samples: of the images, None where there are none.
        sizes: (H, W) of the contents, in the upper left corners; the rest is padding.
    """

    images: Tensor
    samples: list | None
    sizes: list[Size]


class ImageNetwork:
    """A classifier or segmentor, plain or of DAS, seen as a function of normalised images.

    A model of DAS gets images, too: the clip is a step within the function. So a derivative says what a pixel of the
    image does in all frames together. The model is never changed; wrap calls in :meth:`evaluating`.

    Args:
        model: of MMPretrain or MMSegmentation.

    Raises:
        AnalysisError: for a model with neither a class for each image nor one for each pixel.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        self.preprocessor: Any = model.data_preprocessor
        self.makes_clips = isinstance(self.preprocessor, ImageToClip) and not self.preprocessor.gives_images
        head = next((name for name in ('head', 'decode_head') if getattr(model, name, None) is not None), None)
        if head is None:
            raise AnalysisError(
                f'{type(model).__name__} has no head that predicts classes; analyses go with classifiers of MMPretrain '
                'and segmentors of MMSegmentation'
            )
        self.label_maps = head == 'decode_head'

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode, frames as of the latest batch, images for clips; all of it as before at the end."""
        modes = [(module, module.training) for module in self.model.modules()]
        poolings = [module for module in self.model.modules() if isinstance(module, TemporalPooling)]
        counted = [pooling.counted for pooling in poolings]
        own_clip = isinstance(self.preprocessor, ImageToClip)
        self.model.eval()
        for pooling in poolings:
            pooling.counted = True
        if self.makes_clips:
            self.preprocessor.gives_images = True
        try:
            with clips_as_in_training(self.preprocessor) if own_clip else nullcontext():
                yield
        finally:
            if self.makes_clips:
                self.preprocessor.gives_images = False
            for pooling, value in zip(poolings, counted, strict=True):
                pooling.counted = value
            for module, mode in modes:
                module.training = mode

    def read(self, data: dict) -> Batch:
        """A batch of a data loader, normalised and padded as in a test; call it while :meth:`evaluating`."""
        sizes = [tuple(image.shape[-2:]) for image in data['inputs']]
        done = self.preprocessor(data, False)
        images, samples = done['inputs'], done.get('data_samples')
        contents = content_sizes(samples, tuple(images.shape[-2:])) if self.label_maps else None
        return Batch(images, samples, contents or [(int(height), int(width)) for height, width in sizes])

    def inputs(self, batch: Batch, images: Tensor | None = None) -> Tensor:
        """What the network takes for the images of a batch, or for others in their places."""
        images = batch.images if images is None else images
        return self.preprocessor.to_clip(images, batch.sizes) if self.makes_clips else images

    def logits(self, batch: Batch, images: Tensor | None = None) -> Tensor:
        """Logits (B, K), or (B, K, H, W) over the images with their padding.

        Args:
            batch: of :meth:`read`.
            images: (B, C, H, W) in the place of the batch's, such as with noise.
        """
        inputs = self.inputs(batch, images)
        if not self.label_maps:
            return pick_logits(self.model(inputs, batch.samples, mode='tensor'), None, type(self.model).__name__)
        return self.model.inference(self._masked(inputs, batch), window_metas(batch))

    def features(self, batch: Batch) -> Any:
        """What the model's ``extract_feat`` gives for the images of a batch, which it sees whole."""
        inputs = self.inputs(batch)
        return self.model.extract_feat(self._masked(inputs, batch) if self.label_maps else inputs)

    def _masked(self, images: Tensor, batch: Batch) -> Tensor:
        """Images with the channel that tells content from padding, where the model makes clips of windows."""
        canvas = tuple(images.shape[-2:])
        if not isinstance(self.preprocessor, ImageToClip) or self.makes_clips:
            return images
        if self.preprocessor.image_to_clip is None or all(size == canvas for size in batch.sizes):
            return images
        return add_content_mask(images, batch.sizes)

    def scores(self, batch: Batch, classes: Sequence[int] | None = None, images: Tensor | None = None) -> Tensor:
        """One number for each image: the logit that an analysis explains.

        Of a classification it is the logit of the class. Of a segmentation it is the mean over the pixels whose
        prediction is the class of their logit of that class, or over all pixels where no pixel is predicted so. Without
        a class it is the mean over all pixels of the logit of the predicted class.

        Args:
            batch: of :meth:`read`.
            classes: one for each image. Default: the predicted ones.
            images: see :meth:`logits`.

        Returns:
            (B,).
        """
        logits = self.logits(batch, images)
        chosen = None if classes is None else torch.as_tensor(list(classes), device=logits.device)
        if chosen is not None:
            check_classes(chosen, logits.shape[1])
        if logits.ndim == 2:
            return logits.gather(1, (logits.argmax(1) if chosen is None else chosen)[:, None])[:, 0]
        return map_scores(logits, batch.sizes, chosen)


def map_scores(logits: Tensor, sizes: Sequence[Size], classes: Tensor | None) -> Tensor:
    """Scores (B,) of maps of logits (B, K, H, W), see :meth:`ImageNetwork.scores`; padding does not count."""
    found = []
    for place, (height, width) in enumerate(sizes):
        one = logits[place, :, :height, :width]
        if len(one) == 1:  # a single channel: foreground where positive
            foreground = one[0][one[0] > 0]
            found.append(foreground.mean() if len(foreground) else one.mean())
            continue
        best, predicted = one.max(0)
        if classes is None:
            found.append(best.mean())
            continue
        own = one[classes[place]]
        there = predicted == classes[place]
        found.append(own[there].mean() if bool(there.any()) else own.mean())
    return torch.stack(found)


def window_metas(batch: Batch) -> list[dict]:
    """What a segmentor is told of images that fill their batch."""
    shape = batch.images.shape[-2:]
    known = [{}] * len(batch.images) if batch.samples is None else [sample.metainfo for sample in batch.samples]
    return [{**meta, 'img_shape': shape, 'pad_shape': shape, 'ori_shape': shape} for meta in known]


def check_classes(classes: Tensor, count: int) -> None:
    """Raise an AnalysisError for a class that the network does not have."""
    for label in classes.tolist():
        if not 0 <= label < count:
            raise AnalysisError(f'class {label} is none of the {count} classes of the network, 0 to {count - 1}')
