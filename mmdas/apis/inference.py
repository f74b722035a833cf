"""Predictions of a trained model on files, folders and arrays, by the inferencers of the toolboxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmpretrain import ImageClassificationInferencer
from mmseg.apis import MMSegInferencer

from .add_das import find_config
from .das_settings import accept_differences, set_policy
from .runner import adapt_to_device, check_num_frames, load_config, require_checkpoint

Images = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.ppm', '.webp')


class Inferencer:
    """``MMSegInferencer`` or ``ImageClassificationInferencer``, as the config's toolbox demands.

    Beyond what these do by themselves: installed configs of mmdas are read, T is checked in all places, models with
    synchronised batch norm run without a GPU, folders are taken by both, inferencers of both toolboxes live side by
    side in one process, and a model whose data set holds RGB pixels (CIFAR) gets them in that order.

    Args:
        config: path, or name of an installed config.
        checkpoint: path of the weights.
        device: such as ``'cuda:0'``. Default: a GPU if there is one.
        policy: file of a policy in place of the config's. Default: the config's, or the checkpoint's where the file
            that the config names is absent.
        accept_difference: whether to load weights that were trained with other frames, policy, fusion or pooling.
            Default: False.

    Attributes:
        host: the toolbox's inferencer.

    Raises:
        FileNotFoundError: if there is no such config, checkpoint or policy.
        ValueError: if the parts of the model disagree on the number of frames, the config has no place for a policy, or
            the checkpoint was trained with other settings.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        device: str | None = None,
        policy: str | Path | None = None,
        accept_difference: bool = False,
    ) -> None:
        path, _ = find_config(config)
        require_checkpoint(str(checkpoint))
        cfg = load_config(path)
        cfg.load_from = str(checkpoint)
        set_policy(cfg, policy)
        if accept_difference:
            accept_differences(cfg)
        check_num_frames(cfg)
        adapt_to_device(cfg)
        self.scope = cfg.default_scope
        device = device or get_device()
        with DefaultScope.overwrite_default_scope(self.scope):
            if self.scope == 'mmpretrain':
                self.host = ImageClassificationInferencer(cfg, pretrained=str(checkpoint), device=device)
                if not loads_files(cfg):
                    self.host.pipeline.transforms.insert(0, swap_channels)
            else:
                self.host = MMSegInferencer(cfg, weights=str(checkpoint), device=device)

    def __call__(self, images: Images, **options: Any) -> Any:
        """Predict.

        Args:
            images: a file, a folder (its images in the order of their names), an array (H, W, 3) in BGR order, uint8,
                or a list of files and arrays.
            **options: as of the toolbox's inferencer, such as ``batch_size``, or ``out_dir`` (segmentation) and
                ``show_dir`` (classification) for pictures.

        Returns:
            What the toolbox's inferencer does: ``dict(predictions=..., visualization=...)`` with label maps (H, W), or
            a list of dicts with ``pred_label``, ``pred_score``, ``pred_class`` and ``pred_scores``.

        Raises:
            FileNotFoundError: if a path leads nowhere or a folder holds no image.
        """
        with DefaultScope.overwrite_default_scope(self.scope):
            return self.host(expand(images), **options)


def loads_files(cfg: Config) -> bool:
    """Whether the data set of a test reads files: then its pixels are in the order BGR, as OpenCV reads them."""
    pipeline = cfg.test_dataloader.dataset.pipeline
    return any('LoadImage' in str(step['type']) for step in pipeline)


def swap_channels(sample: dict) -> dict:
    """BGR to RGB, the step that such a pipeline lacks."""
    return {**sample, 'img': np.ascontiguousarray(sample['img'][..., ::-1])}


def expand(images: Images) -> Any:
    """Paths as text, a folder as the list of its images.

    Raises:
        FileNotFoundError: if a path leads nowhere or a folder holds no image.
    """
    if isinstance(images, (list, tuple)):
        return [expand(image) for image in images]
    if isinstance(images, np.ndarray) or '://' in str(images):
        return images
    path = Path(images)
    if path.is_dir():
        files = sorted(str(file) for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise FileNotFoundError(f'{path} holds no image ({", ".join(SUFFIXES)})')
        return files
    if not path.is_file():
        raise FileNotFoundError(f'there is no image {path}')
    return str(path)
