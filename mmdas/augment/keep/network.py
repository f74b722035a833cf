"""The network of a training as a function of its images, which leaves no trace in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.augment.content import content_sizes
from mmdas.augment.evaluating import evaluating

from .scores import has_maps

# Places of the heads that predict, of both toolboxes.
HEADS = ('decode_head', 'head')
# Names of the first stage within the backbones of both toolboxes.
FIRST_STAGES = ('layer1', 'stages.0', 'layers.0', 'stage1')


class Network:
    """What a model of a toolbox gives for images as an augment sees them.

    It runs in evaluation mode: statistics of norms stay, and nothing is dropped. Clips are made as in the training.

    Args:
        model: of a toolbox, plain or of DAS, whose data preprocessor is of DAS. Its mode is the same afterwards.

    Raises:
        ValueError: for a model without a backbone or a head.
    """

    def __init__(self, model: Any) -> None:
        head = next((getattr(model, name) for name in HEADS if hasattr(model, name)), None)
        if head is None or not hasattr(model, 'backbone'):
            raise ValueError(
                f'KeepAugment needs a model with a backbone and a head of logits ({" or ".join(HEADS)}), got a '
                f'{type(model).__name__}'
            )
        self.model = model
        self.head: Any = head[-1] if isinstance(head, nn.ModuleList) else head

    @property
    def ignore_index(self) -> int:
        """Label that the head leaves out."""
        return getattr(self.head, 'ignore_index', 255)

    @property
    def num_classes(self) -> int:
        """Of the head.

        Raises:
            ValueError: if neither the head nor the data preprocessor says.
        """
        owners = (self.head, self.model.data_preprocessor)
        found = next((owner.num_classes for owner in owners if getattr(owner, 'num_classes', None)), None)
        if found is None:
            raise ValueError(
                f'{type(self.head).__name__} does not tell its number of classes; set data_preprocessor.num_classes'
            )
        return int(found)

    def logits(self, images: Tensor, samples: Sequence, resolution: float = 1.0) -> Any:
        """What the head gives, before softmax.

        Args:
            images: (B, C, H, W), normalised.
            samples: of the batch.
            resolution: factor of the sides at which the backbone sees the clip, in (0, 1].
        """
        with evaluating(self.model), seen_smaller(self.model.backbone, resolution):
            return self._forward(images, samples)

    def features(self, images: Tensor, samples: Sequence, stage: str | None = None, resolution: float = 1.0) -> Any:
        """What a stage of the backbone gives; what comes after it is not computed.

        Args:
            images: (B, C, H, W), normalised.
            samples: of the batch.
            stage: path of the stage in the backbone. Default: the first one.
            resolution: see :meth:`logits`.
        """
        backbone = self.model.backbone
        handle = backbone.get_submodule(stage or first_stage(backbone)).register_forward_hook(_stop)
        try:
            with evaluating(self.model), seen_smaller(backbone, resolution):
                self._forward(images, samples)
        except _Reached as reached:
            return reached.output
        finally:
            handle.remove()
        raise ValueError(f'backbone.{stage} is not called when the model predicts; name a stage that is')

    def _forward(self, images: Tensor, samples: Sequence) -> Any:
        canvas = (images.shape[-2], images.shape[-1])
        sizes = content_sizes(samples, canvas) if has_maps(samples) else None
        return self.model(self.model.data_preprocessor.to_inputs(images, sizes), samples, mode='tensor')


class _Reached(Exception):
    """Ends a forward pass with the output of a stage."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _stop(stage: nn.Module, inputs: Any, output: Any) -> None:
    raise _Reached(output)


def first_stage(backbone: nn.Module) -> str:
    """Path of the first stage of a backbone.

    Raises:
        ValueError: if it has no part of a known name.
    """
    paths = dict(backbone.named_modules())
    found = next((path for path in FIRST_STAGES if path in paths), None)
    if found is None:
        raise ValueError(
            f'{type(backbone).__name__} has no part named {", ".join(FIRST_STAGES)}; name one of its parts '
            f"{[name for name, _ in backbone.named_children()]} by saliency=dict(type='early', stage=PATH)"
        )
    return found


@contextmanager
def seen_smaller(backbone: nn.Module, resolution: float) -> Iterator[None]:
    """Let a backbone see its inputs (B, C, H, W) at a part of their resolution."""
    if resolution == 1:
        yield
        return

    def shrink(module: nn.Module, inputs: tuple) -> tuple:
        size = [max(round(side * resolution), 1) for side in inputs[0].shape[-2:]]
        return F.interpolate(inputs[0], size=size, mode='bilinear', align_corners=False), *inputs[1:]

    handle = backbone.register_forward_pre_hook(shrink)
    try:
        yield
    finally:
        handle.remove()
