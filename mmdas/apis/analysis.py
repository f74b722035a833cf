"""Analyses of a trained model on files, folders and arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from mmdas.analysis import ImageNetwork, class_activation_maps, saliency_maps, to_picture
from mmdas.analysis.network import AnalysisError, Batch
from mmdas.registry import type_name

from .clip_config import pipeline_of
from .config_loading import load_config
from .das_settings import preprocessor_of
from .image_inputs import Images
from .inference import Inferencer
from .view_policy import channel_order, is_view_policy

KINDS = ('saliency', 'cam')
PARTIAL = ('Crop', 'Pad')  # in the names of steps after which the picture is not the whole image, or more than it


@dataclass(frozen=True)
class Analysis:
    """What a model looks at in an image.

    Args:
        image: path of the file, or its number.
        picture: (H, W, 3), uint8, RGB: what the network sees, after the pipeline of the test, without padding.
        scores: (H, W), float32, the map over the picture.
        label: the class that the map explains; None where it explains all predicted classes of a segmentation.
        score: probability of that class; None of a segmentation.
        file_size: (H, W) of the image's file.
    """

    image: str
    picture: np.ndarray
    scores: np.ndarray
    label: int | None
    score: float | None
    file_size: tuple[int, int]


class Analyzer:
    """Maps of a trained model, of either toolbox, plain or of DAS.

    Args:
        config: path, name of an installed config, or a loaded config, as :func:`mmdas.apis.load_config` gives it.
        checkpoint: path of the weights.
        device, policy, accept_difference: as of :class:`Inferencer`; the policy is one of clips.

    Attributes:
        whole: whether a picture shows all of its image and nothing else, so that boxes can be carried to the file.

    Raises:
        FileNotFoundError, ValueError: as :class:`Inferencer`; the latter also for a policy of views.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        device: str | None = None,
        policy: str | Path | None = None,
        accept_difference: bool = False,
    ) -> None:
        if is_view_policy(policy):
            raise ValueError(f'--policy {policy} is one of views; an analysis looks at one image, leave it out')
        cfg = config if isinstance(config, Config) else load_config(config)
        self.order = channel_order(cfg, preprocessor_of(cfg))
        self.whole = not any(part in type_name(step) for step in pipeline_of(cfg.test_dataloader) for part in PARTIAL)
        self.inferencer = Inferencer(cfg, checkpoint, device, policy, accept_difference)
        self.network = ImageNetwork(self.inferencer.model)

    def find_class(self, name: str | int | None) -> int | None:
        """Number of a class that is given by its name or number.

        Raises:
            AnalysisError: if there is none.
        """
        names = self.inferencer.classes
        if name is None or isinstance(name, int):
            return name
        if name in names:
            return names.index(name)
        if name.isdecimal():
            return int(name)
        known = f'known are {", ".join(names)}' if names else 'the checkpoint names none, give a number'
        raise AnalysisError(f'there is no class {name!r}; {known}')

    def __call__(
        self,
        images: Images,
        kind: str = 'saliency',
        label: str | int | None = None,
        samples: int = 1,
        noise: float = 0.15,
    ) -> Iterator[Analysis]:
        """Analyse one image after the other.

        Args:
            images: as of :class:`Inferencer`.
            kind: ``'saliency'`` or ``'cam'``.
            label: the class that maps explain, by name or number. Default: that which is predicted; of a segmentation
                all of them.
            samples, noise: of :func:`mmdas.analysis.saliency_maps`.

        Raises:
            ValueError: for another kind, a class that is not there, or a model that has no such map.
        """
        if kind not in KINDS:
            raise ValueError(f'kind is {kind!r}, expected one of {KINDS}')
        found, chosen = self.inferencer.expand(images), self.find_class(label)
        for number, (image, data) in enumerate(zip(found, self.inferencer.batches(found), strict=True)):
            name = image if isinstance(image, str) else str(number)
            with self.network.evaluating():
                yield self._analyse(name, data, kind, chosen, samples, noise)

    def _analyse(self, name: str, data: dict, kind: str, label: int | None, samples: int, noise: float) -> Analysis:
        batch = self.network.read(data)
        label, score = self._predicted(batch, label)
        classes = None if label is None else [label]
        if kind == 'cam':
            maps = class_activation_maps(self.network, batch, classes)
        else:
            maps = saliency_maps(self.network, batch, classes, samples, noise)
        height, width = batch.sizes[0]
        picture = to_picture(batch.images[0, :, :height, :width], self.network.preprocessor, self.order)
        return Analysis(name, picture, maps[0, :height, :width].cpu().numpy(), label, score, file_size(batch, picture))

    @torch.no_grad()
    def _predicted(self, batch: Batch, label: int | None) -> tuple[int | None, float | None]:
        """The class to explain and its probability."""
        if self.network.label_maps:
            return label, None
        probabilities = self.network.logits(batch)[0].softmax(0)
        label = int(probabilities.argmax()) if label is None else label
        return label, float(probabilities[label]) if label < len(probabilities) else None


def file_size(batch: Batch, picture: np.ndarray) -> tuple[int, int]:
    """(H, W) of the file of the first image of a batch."""
    sample: Any = batch.samples[0] if batch.samples else None
    height, width = (sample.metainfo.get('ori_shape') if sample is not None else None) or picture.shape[:2]
    return int(height), int(width)
