"""An exported file as a function of arrays."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .description import Description
from .error import ExportError
from .graph import METADATA, require_packages
from .windows import slide


class ExportedModel:
    """Run a file of ``mmdas export``, on the CPU.

    Args:
        path: ``.onnx`` (by onnxruntime) or ``.pt2`` (by PyTorch).

    Attributes:
        description: what the file says of itself.

    Raises:
        FileNotFoundError: if there is no such file.
        ExportError: for another ending, a file that ``mmdas export`` has not written, or without onnxruntime.
    """

    description: Description

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f'there is no exported model {path}; mmdas export writes one')
        openers = {'.onnx': self._open_onnx, '.pt2': self._open_program}
        if path.suffix not in openers:
            raise ExportError(f'{path} is no exported model; its name must end with .onnx or .pt2')
        texts = openers[path.suffix](path)
        self.description = Description.from_texts(texts, str(path))

    def _open_onnx(self, path: Path) -> dict[str, str]:
        require_packages(('onnxruntime',))
        onnxruntime: Any = importlib.import_module('onnxruntime')  # an extra
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        (given,) = session.get_inputs()
        self._run: Any = lambda images: session.run(None, {given.name: images})[0]
        return session.get_modelmeta().custom_metadata_map

    def _open_program(self, path: Path) -> dict[str, str]:
        extra = {METADATA: ''}
        program: Any = torch.export.load(str(path), extra_files=extra).module()

        def run(images: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return program(torch.from_numpy(images)).numpy()

        self._run = run
        return json.loads(extra[METADATA] or '{}')

    def run(self, images: np.ndarray) -> np.ndarray:
        """What the graph gives for images (B, C, H, W), float32; of slide inference, for windows."""
        return self._run(np.ascontiguousarray(images, dtype=np.float32))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """As :meth:`run`, but of slide inference for whole images, by windows.

        Raises:
            ExportError: for images of another size than the graph has, or labels of windows, which have no mean.
        """
        told, size = self.description, tuple(images.shape[-2:])
        if told.mode == 'slide':
            if told.output == 'labels':
                raise ExportError('labels of overlapping windows have no mean; export with --output logits')
            self._check_size(size, least=True)
            return slide(self.run, images, told.crop or size, told.stride or size)
        self._check_size(size)
        return self.run(images)

    def _check_size(self, size: tuple[int, ...], least: bool = False) -> None:
        own, divisor = self.description.size, self.description.size_divisor
        if own is not None and (any(a < b for a, b in zip(size, own, strict=True)) if least else size != own):
            raise ExportError(
                f'images are {size[0]} x {size[1]}, the graph takes {"at least " if least else ""}{own[0]} x {own[1]}; '
                'resize them as the test of the config does, or export with --dynamic-size'
            )
        if not least and any(side % divisor for side in size):
            raise ExportError(f'the sides of {size[0]} x {size[1]} are no multiples of {divisor}; pad the images')
