"""A frozen model that says what a student learns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.frame_count import FrameCount
from mmdas.search.das.operation import Size

from .error import DistillationError
from .logits import pick_logits, resized
from .pixels import mirrored


class Teacher:
    """A model in evaluation mode, without gradients, that no optimiser, average or checkpoint of a run holds.

    It is no module, so that a student that refers to it does not count it among its own.

    Args:
        model: of a toolbox, with its weights, plain or of DAS with any T; it is changed: frozen.
        views: 1, or 2 for the mean of the logits of an image and its mirror image. Default: 1.
        output: place of the logits, where the head returns several tensors in evaluation. Default: the only one.

    Raises:
        DistillationError: for other numbers of views.
    """

    def __init__(self, model: Any, views: int = 1, output: int | None = None) -> None:
        check_views(views)
        self.model: Any = model.eval().requires_grad_(False)
        self.views, self.output = views, output
        preprocessor = model.data_preprocessor
        if isinstance(preprocessor, ImageToClip):
            for module in model.modules():
                if isinstance(module, FrameCount):
                    module.tell(preprocessor.num_frames)

    def to(self, device: torch.device) -> 'Teacher':
        """Bring the model to a device."""
        self.model.to(device)
        return self

    @torch.no_grad()
    def __call__(self, images: Tensor, samples: Sequence | None, sizes: Sequence[Size] | None = None) -> Tensor:
        """Logits of images that are normalised as the model's own data preprocessor does.

        Args:
            images: (B, C, H, W).
            samples: of the batch.
            sizes: (H, W) of the contents in the upper left corners. Default: all is content.

        Returns:
            (B, K), or (B, K, h, w) of the size that the model predicts at.

        Raises:
            DistillationError: if the model does not take images of their size, or its logits are not found.
        """
        logits = self._logits(images, samples, sizes)
        if self.views == 1:
            return logits
        other = self._logits(mirrored(images, sizes), samples, sizes)
        if other.ndim == 4:
            other = self._mirrored_back(other, images.shape[-2:], sizes)
        return (logits + other) / 2

    def _logits(self, images: Tensor, samples: Sequence | None, sizes: Sequence[Size] | None) -> Tensor:
        preprocessor = self.model.data_preprocessor
        if not isinstance(preprocessor, ImageToClip):
            return self._predict(images, samples)
        with clips_as_in_training(preprocessor):
            return self._predict(preprocessor.to_inputs(images, sizes), samples)

    def _predict(self, inputs: Tensor, samples: Sequence | None) -> Tensor:
        try:
            outputs = self.model(inputs, samples, mode='tensor')
        except AssertionError as error:  # by which the toolboxes refuse sizes
            raise DistillationError(
                f'the teacher ({type(self.model).__name__}) does not take the images {tuple(inputs.shape)} of its '
                f'student: {error}; train with crops of a size that it takes'
            ) from error
        return pick_logits(outputs, self.output, 'the teacher', 'teacher.output')

    @staticmethod
    def _mirrored_back(maps: Tensor, canvas: Sequence[int], sizes: Sequence[Size] | None) -> Tensor:
        if sizes is None:
            return mirrored(maps)
        # contents end within a position of a coarse map, so that they are mirrored at the size of the images
        return resized(mirrored(resized(maps, canvas), sizes), maps.shape[-2:])


@contextmanager
def clips_as_in_training(preprocessor: ImageToClip) -> Iterator[None]:
    """Let a policy make its clips as for the crops of a training, which all have one size.

    In evaluation it takes its fast form after some clips of a size. Both forms are equal but for rounding, so that a
    resumed training would differ from an uninterrupted one.
    """
    clip = preprocessor.image_to_clip
    if clip is None:
        yield
        return
    mode, clip.training = clip.training, True  # of the policy alone: what is random in its operations stays fixed
    try:
        yield
    finally:
        clip.training = mode


def check_views(views: int) -> None:
    """Refuse numbers of views that a teacher does not have.

    Raises:
        DistillationError: naming the number.
    """
    if views not in (1, 2):
        raise DistillationError(f'views of the teacher must be 1 (the image) or 2 (and its mirror image), got {views}')
