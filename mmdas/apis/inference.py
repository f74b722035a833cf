"""Predictions of a trained model on files, folders and arrays, by the inferencers of the toolboxes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader

from mmdas.engine.checkpoints.own_weights import require_weights
from mmdas.engine.hooks.resume_check_hook import refuse_frames
from mmdas.noise import import_toolbox
from mmdas.registry import INFERENCERS, add_missing_registry, type_name

from .clip_config import innermost_data_set, prepare_clips, reads_files
from .config_files import host_of, require_checkpoint, require_model, toolbox_of
from .config_loading import load_config
from .das_settings import accept_differences, preprocessor_of, set_policy
from .device import adapt_to_device
from .frame_numbers import check_num_frames, find_num_frames
from .image_inputs import Images, as_colour, expand, naming_unreadable
from .pure_python import types_as_text
from .view_policy import is_view_policy, use_views

# Steps of a pipeline that the toolboxes' inferencers look for by these names, without a prefix.
LOADING = ('LoadImageFromFile', 'LoadAnnotations', 'LoadDepthAnnotation', 'LoadOneDLAnnotations')


class Inferencer:
    """``MMSegInferencer`` or ``ImageClassificationInferencer``, as the config's toolbox demands.

    Beyond what these do by themselves: installed configs of mmdas are read, T is checked in all places, models with
    synchronised batch norm run without a GPU, folders and lists of them are taken by both, results are named by their
    images, images of several sizes may come in one call, test sets may lie within wrappers, inferencers of both
    toolboxes live side by side in one process, and a model whose data set holds RGB pixels (CIFAR) gets them in that
    order.

    Args:
        config: path, name of an installed config, or a loaded config, as :func:`mmdas.apis.load_config` gives it.
        checkpoint: path of the weights.
        device: such as ``'cuda:0'``. Default: a GPU if there is one.
        policy: file of a policy in place of the config's, or one of views at test time. Default: the config's, or the
            checkpoint's where the file that the config names is absent.
        accept_difference: whether to load weights that were trained with other frames, policy, fusion or pooling,
            or do not all fit. Default: False.

    Attributes:
        host: the toolbox's inferencer.

    Raises:
        FileNotFoundError: if there is no such config, checkpoint or policy.
        ValueError: if the parts of the model disagree on the number of frames, the config has no place for a policy or
            no test set that says how an image is prepared, or the checkpoint was trained with other settings or is that
            of another model.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        device: str | None = None,
        policy: str | Path | None = None,
        accept_difference: bool = False,
    ) -> None:
        content = require_checkpoint(str(checkpoint)) or CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu')
        cfg = types_as_text(config if isinstance(config, Config) else load_config(config))
        require_model(cfg, cfg.filename or 'the config')
        cfg.load_from = str(checkpoint)
        views = policy if is_view_policy(policy) else None
        set_policy(cfg, None if views else policy)
        if accept_difference:
            accept_differences(cfg)
        check_num_frames(cfg)
        if not (accept_difference or find_num_frames(cfg)):
            refuse_frames(content, str(checkpoint))
        prepare_clips(cfg, preprocessor_of(cfg))
        adapt_to_device(cfg)
        unwrap_test_set(cfg)
        self.scope, toolbox = toolbox_of(cfg), host_of(cfg)
        self.colour = reads_colour(cfg)
        if views is not None:
            use_views(cfg, views)
        device = device or get_device()
        import_toolbox(toolbox.scope)
        add_missing_registry(toolbox.scope)
        leave_out_folders(cfg)
        with DefaultScope.overwrite_default_scope(self.scope):
            kind: Any = INFERENCERS.get(toolbox.inferencer)
            self.host = kind(cfg, weights=str(checkpoint), device=device)
            if not accept_difference:
                require_weights(self.model, content, str(checkpoint))
            if toolbox.holds_pixels and not reads_files(cfg.test_dataloader.dataset.pipeline):
                self.host.pipeline.transforms.insert(0, swap_channels)

    def __call__(self, images: Images, **options: Any) -> Any:
        """Predict.

        Args:
            images: a file, a folder (its images in the order of their names, without hidden files), an array
                (H, W, 3) in BGR order, uint8, or a list of these. A grey array (H, W) gets three equal channels, and
                a fourth channel is left out, as of a file.
            **options: as of the toolbox's inferencer, such as ``batch_size``, or ``out_dir`` (segmentation: label maps
                in ``pred``, pictures in ``vis``) and ``show_dir`` (classification) for pictures. The files have the
                names of their images, with parts of the folder where two images have one name.

        Returns:
            What the toolbox's inferencer does: ``dict(predictions=..., visualization=...)`` with label maps (H, W), or
            a list of dicts with ``pred_label``, ``pred_score``, ``pred_class`` and ``pred_scores``.

        Raises:
            FileNotFoundError: if a path leads nowhere or a folder holds no image.
            TypeError: for what is no path and no array, and for arrays of another type than uint8.
            ValueError: for arrays of another shape, or if there is no image.
            ImageError: naming a file that cannot be read.
        """
        found = self.expand(images)
        with DefaultScope.overwrite_default_scope(self.scope), naming_unreadable(found):
            return self.host(found, **options)

    def expand(self, images: Images) -> list[str | np.ndarray]:
        """All images of a call in their order, as the toolbox's inferencer takes them; errors as of a call."""
        found = expand(images)
        if not self.colour:
            return found
        return [
            as_colour(image, f'image {index}') if isinstance(image, np.ndarray) else image
            for index, image in enumerate(found)
        ]

    def batches(self, images: Sequence[str | np.ndarray], batch_size: int = 1) -> Iterator[dict]:
        """Batches as the data preprocessor of the model takes them, in the order of the images.

        Args:
            images: of :meth:`expand`.
            batch_size: most images of a batch; another size of an image begins a new one.

        Raises:
            ImageError: naming a file that cannot be read.
        """
        for start in range(0, len(images), batch_size):
            chosen = images[start : start + batch_size]
            with DefaultScope.overwrite_default_scope(self.scope), naming_unreadable(chosen):
                loaded = list(self.host.preprocess(chosen, batch_size=batch_size))
            yield from loaded

    @property
    def model(self) -> Any:
        """The model, in evaluation mode."""
        return self.host.model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, as far as checkpoint or config know them."""
        meta = getattr(self.model, 'dataset_meta', None) or {}
        return tuple(getattr(self.host, 'classes', None) or meta.get('classes') or ())


def unwrap_test_set(cfg: Config) -> None:
    """Put the innermost data set of the test, which has the pipeline, in the place of its wrappers.

    Raises:
        ValueError: if the config has no test set with a pipeline.
    """
    dataset = innermost_data_set(cfg.get('test_dataloader'))
    if dataset is None:
        raise ValueError('test_dataloader.dataset of the config has no pipeline that says how an image is prepared')
    cfg.test_dataloader.dataset = dataset
    for step in dataset['pipeline']:
        if type_name(step) in LOADING:
            step['type'] = type_name(step)


def leave_out_folders(cfg: Config) -> None:
    """Leave the backend that needs a folder out of a visualizer that has none; MMEngine would, with a warning."""
    visualizer = cfg.get('visualizer') or {}
    if visualizer.get('vis_backends') and not visualizer.get('save_dir'):
        visualizer['vis_backends'] = [
            backend for backend in visualizer['vis_backends'] if type_name(backend) != 'LocalVisBackend'
        ]


def reads_colour(cfg: Config) -> bool:
    """Whether the data set of a test makes colour images of three channels and eight bits of every file."""
    steps = cfg.test_dataloader.dataset.pipeline
    kinds = [step.get('color_type', 'color') for step in steps if 'LoadImage' in type_name(step)]
    channels = len(preprocessor_of(cfg).get('mean') or [0] * 3)
    return channels == 3 and all(kind.startswith('color') for kind in kinds)


def swap_channels(sample: dict) -> dict:
    """BGR to RGB, the step that such a pipeline lacks."""
    return {**sample, 'img': np.ascontiguousarray(sample['img'][..., ::-1])}
