"""The images of a training set as a test sees them."""

import copy
import os
import zlib
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from mmdas.models.distillation import DistillationError

from .checksum import checksum


def fixed_view(runner: Runner) -> Any:
    """The data set of a training, in the order of its ``sample_idx``, with the pipeline of the validation.

    Raises:
        DistillationError: without a validation or test, for a data set of several, or a training that mixes images.
    """
    refuse_mixing(runner.model)
    view = copy.copy(innermost(runner.train_dataloader.dataset))
    view.pipeline = pipeline_of(tested_like(runner).dataloader.dataset)
    view.test_mode = True
    return view


def pipeline_of(dataset: Any) -> Any:
    """The pipeline of a data set, or of the first one within it."""
    while not hasattr(dataset, 'pipeline'):
        dataset = dataset.datasets[0] if hasattr(dataset, 'datasets') else dataset.dataset
    return dataset.pipeline


def tested_like(runner: Runner) -> Any:
    """The loop of the validation, or that of the test.

    Raises:
        DistillationError: without either.
    """
    loop = runner.val_loop or runner.test_loop
    if loop is None:
        raise DistillationError(
            'cached logits of the teacher are of images as a test sees them, and the config has neither val_dataloader '
            'nor test_dataloader, whose pipeline would say how; give one, or leave out --cache (cache=True of '
            'mmdas.DistillHook)'
        )
    return loop


def innermost(dataset: Any) -> BaseDataset:
    """The data set that numbers the samples, within others that hold it.

    Raises:
        DistillationError: for a data set of several, whose numbers repeat, or of an unknown kind.
    """
    while not isinstance(dataset, BaseDataset):
        if not hasattr(dataset, 'dataset'):
            raise DistillationError(
                f'{type(dataset).__name__} has no sample_idx for each image, by which cached logits of the teacher are '
                'found; take one BaseDataset, with RepeatDataset or ClassBalancedDataset around it if you like, or '
                'leave out --cache (cache=True of mmdas.DistillHook)'
            )
        dataset = dataset.dataset
    dataset.full_init()
    return dataset


def pipeline_config(runner: Runner) -> Any:
    """What the config says of the pipeline of the validation, or of the test."""
    loader = runner.cfg.get('val_dataloader') or runner.cfg.get('test_dataloader') or {}
    dataset = loader.get('dataset') or {}
    while 'pipeline' not in dataset and (dataset.get('datasets') or dataset.get('dataset')):
        dataset = dataset['datasets'][0] if dataset.get('datasets') else dataset['dataset']
    return dataset.get('pipeline')


def fingerprint_of(view: Any, pipeline: Any = None) -> str:
    """Number of the images, and digits of the names and sizes of their files (or pixels), of labels and steps.

    Args:
        view: as :func:`fixed_view` gives it.
        pipeline: its config, for steps that do not show their settings. Default: their texts alone.
    """
    check = checksum((view.pipeline, pipeline))
    for index in range(len(view)):
        sample = view.get_data_info(index)
        path, image = sample.get('img_path'), sample.get('img')
        size = size_of(path) if path else -1
        name = f'{str(path).replace(chr(92), "/").rsplit("/", 1)[-1]} {size}'.encode() if path else b''
        pixels = b'' if size >= 0 or image is None else np.ascontiguousarray(image).tobytes()
        check = zlib.crc32(name + pixels + str(sample.get('gt_label')).encode(), check)
    return f'{len(view)} images, {check:08x}'


def size_of(path: Any) -> int:
    """Bytes of a file; -1 of one that is not on a disk of this machine."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def refuse_mixing(model: Any) -> None:
    """Check that each image of a batch is one image of the training set.

    Raises:
        DistillationError: for a data preprocessor that mixes them.
    """
    preprocessor = getattr(model, 'module', model).data_preprocessor
    steps = [*getattr(getattr(preprocessor, 'augments', None), 'steps', ())]
    mixers = [type(step).__name__ for step in steps if getattr(step, 'mixes_labels', False)]
    if getattr(preprocessor, 'batch_augments', None) is not None:
        mixers.append('batch_augments')
    if mixers:
        raise DistillationError(
            f'{mixers[0]} of this training mixes images, and cached logits of the teacher are of whole ones; leave out '
            'what mixes, or --cache (cache=True of mmdas.DistillHook)'
        )
