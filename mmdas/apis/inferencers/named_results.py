"""What the inferencers share: results named by their images, and batches of images of one size."""

import shutil
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mmdas.apis.result_names import ResultNames
from mmdas.models.settings import Parent


class NamedResults(Parent):
    """Mixin before the toolbox's inferencer."""

    PICTURES = ''  # the option that names the folder of the pictures

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.result_names = ResultNames()
        self.keys: list[str] = []  # of the images of the current call

    def _get_chunk_data(self, inputs: Iterable[dict], chunk_size: int) -> Iterator[list[dict]]:
        """Batches of at most ``chunk_size`` images in the given order; another size begins a new batch."""
        for _, group in groupby(inputs, key=lambda sample: getattr(sample['inputs'], 'shape', None)):
            yield from super()._get_chunk_data(group, chunk_size)

    def _inputs_to_list(self, inputs: Any) -> list:
        """The inputs of a call, a list already; their names are needed later."""
        images = super()._inputs_to_list(inputs)
        self.keys = self.result_names.keys(images)
        return images

    def visualize(self, inputs: list, preds: list, **options: Any) -> list[np.ndarray] | None:
        """Draw with the toolbox, one picture after the other, and give each its image's name."""
        folder = options.get(self.PICTURES)
        if not folder:
            return super().visualize(inputs, preds, **options)
        Path(folder).mkdir(parents=True, exist_ok=True)
        drawn = []
        for name, image, pred in zip(self.result_names(self.keys, folder), inputs, preds, strict=True):
            with TemporaryDirectory() as scratch:
                drawn.append(super().visualize([image], [pred], **{**options, self.PICTURES: scratch}))
                for picture in Path(scratch).iterdir():
                    shutil.move(picture, Path(folder, f'{name}{picture.suffix}'))
        return None if drawn[0] is None else [picture for pictures in drawn for picture in pictures]
