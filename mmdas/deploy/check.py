"""Compare an exported file with its model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from .error import ExportError
from .exported import ExportedModel
from .network import DeployableNetwork

TOLERANCE = 1e-4  # of the largest score, or of 1 where that is smaller; of labels, the share that may differ
BATCHES = (1, 3)  # sizes other than that of the recording


@torch.no_grad()
def check_file(network: DeployableNetwork, path: str | Path, sizes: Sequence[tuple[int, int]]) -> float:
    """Run a file and its model on the same random images.

    Args:
        network: what was exported.
        path: of the file.
        sizes: (H, W) of the images.

    Returns:
        The largest difference, as a share of the largest score or of 1.

    Raises:
        ExportError: if it is above ``TOLERANCE``, or the file cannot be run.
    """
    exported, largest = ExportedModel(path), 0.0
    for size in sizes:
        for count in BATCHES:
            images = draw_images(count, network.channels, size, network.pixels)
            expected = network(images).numpy()
            try:
                found = exported.run(images.numpy())
            except Exception as error:  # of onnxruntime's own kinds
                raise ExportError(f'{path} does not run on {count} images of {size[0]} x {size[1]}: {error}') from error
            largest = max(largest, difference(expected, found))
    if largest > TOLERANCE:
        raise ExportError(
            f'{path} differs from its model by {largest:.2g}, more than {TOLERANCE:g}; do not use it, and report it '
            'with the config and the versions of torch, onnx and onnxruntime'
        )
    return largest


def difference(expected: np.ndarray, found: np.ndarray) -> float:
    """Largest difference as a share of the largest score or of 1; of labels, the share of those that differ.

    Raises:
        ExportError: for results of another shape.
    """
    if expected.shape != found.shape:
        raise ExportError(f'the file gives {found.shape}, its model {expected.shape}')
    if np.issubdtype(expected.dtype, np.integer):
        return float((expected != found).mean())
    return float(np.abs(expected - found).max() / max(1.0, np.abs(expected).max()))


def draw_images(count: int, channels: int, size: tuple[int, int], pixels: bool) -> torch.Tensor:
    """Random images (B, C, H, W), float32: whole numbers from 0 to 255, or about as normalised ones."""
    images = torch.randint(256, (count, channels, *size), generator=torch.Generator().manual_seed(count)).float()
    return images if pixels else (images - 127.5) / 64
