"""What a config has to say so that the clips of a test are those of the training."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmdas.hosts import Host, all_hosts
from mmdas.registry import type_name
from mmdas.search.das import OPERATIONS, Policy

from .config_files import host_of

SIZES = ('crop_size', 'scale')  # keys of transforms that set the size of an image


def prepare_clips(cfg: Config, preprocessor: dict) -> None:
    """Let clips be made in the right place and of the right colours, and warn where a test has others.

    Args:
        cfg: of a run; changed.
        preprocessor: the data preprocessor that counts.
    """
    host = next((host for host in (host_of(cfg), *all_hosts()) if owns_clip_step(host, preprocessor)), None)
    if host is None:
        return
    use_clip_model(cfg.model.get('module', cfg.model), host)  # `module`: wrapped for test-time augmentation
    set_channel_order(cfg, preprocessor, host)
    if makes_clips(preprocessor) or preprocessor.get('augments'):
        leave_out_padding(cfg, preprocessor)
        warn_of_larger_clips(cfg, preprocessor)


def owns_clip_step(host: Host, preprocessor: dict) -> bool:
    """Whether a data preprocessor is of the type that makes clips for a host."""
    return type_name(preprocessor) == type_name({'type': host.clip_preprocessor}) != ''


def makes_clips(preprocessor: dict) -> bool:
    """Whether the frames differ: by a cell or a policy."""
    return preprocessor.get('cell') is not None or preprocessor.get('policy') is not None


def use_clip_model(model: dict, host: Host) -> None:
    """Replace a plain model by the one that makes clips where its backbone takes them, if the host has one.

    A plain segmentor takes ready clips of whole images, of which slide inference cuts windows: no clips that a training
    saw.
    """
    model['type'] = host.models.get(type_name(model)) or model.get('type')


def set_channel_order(cfg: Config, preprocessor: dict, host: Host) -> None:
    """Say in which order colours come that the preprocessor does not convert, if the host has several."""
    told = any(preprocessor.get(key) for key in ('to_rgb', 'channel_order'))
    reads_colours = makes_clips(preprocessor) or preprocessor.get('augments')
    if host.holds_pixels and reads_colours and not told:
        steps = pipeline_of(cfg.get('train_dataloader')) or pipeline_of(cfg.get('test_dataloader'))
        preprocessor['channel_order'] = 'bgr' if reads_files(steps) else 'rgb'


def leave_out_padding(cfg: Config, preprocessor: dict) -> None:
    """Leave a ``Pad`` to the preprocessor's size out of the training's pipeline: the preprocessor pads as well.

    What a pipeline pads counts as content, so that the clip would turn about another centre than in a test.
    """
    pipeline: Any = pipeline_of(cfg.get('train_dataloader'))
    for step in list(pipeline):
        if type_name(step) != 'Pad':
            continue
        if pair(step.get('size')) is not None and pair(step.get('size')) == pair(preprocessor.get('size')):
            pipeline.remove(step)
            text, level = (
                'Pad is left out of the training: data_preprocessor.size pads, and tells image from padding',
                logging.INFO,
            )
        else:
            text, level = (
                f'the pipeline of the training pads ({dict(step)}), which counts as a part of the image in its clips; '
                'let data_preprocessor.size pad instead',
                logging.WARNING,
            )
        print_log(text, 'current', level)


def warn_of_larger_clips(cfg: Config, preprocessor: dict) -> None:
    """Warn before the run where a test makes clips of larger images than the training, and its operations care."""
    policy = preprocessor.get('policy')
    if policy is None or (not isinstance(policy, dict) and not Path(policy).is_file()):
        return
    loaded = Policy.from_dict(policy) if isinstance(policy, dict) else Policy.load(policy)
    names = sorted({edge.operation for edge in loaded.needed_edges if OPERATIONS[edge.operation].grows_with_image})
    trained = pair(preprocessor.get('size')) or last_size(pipeline_of(cfg.get('train_dataloader')))
    tested = size_of_test(cfg)
    if names and trained and tested and (tested[0] > trained[0] or tested[1] > trained[1]):
        print_log(
            f'{", ".join(names)} of the policy move the outer pixels of a larger image further: the training makes its '
            f'clips of images with sides of {trained[0]} and {trained[1]} pixels, a test of up to {tested[0]} and '
            f'{tested[1]}. Test by windows of the training: model.test_cfg=dict(mode="slide", crop_size=..., '
            'stride=...)',
            'current',
            logging.WARNING,
        )


def size_of_test(cfg: Config) -> tuple[int, int] | None:
    """Shorter and longer side, in pixels, of what a test makes a clip of; None where the config does not tell."""
    model = cfg.model.get('module', cfg.model)
    test_cfg = model.get('test_cfg') or {}
    if test_cfg.get('mode') == 'slide':
        return pair(test_cfg.get('crop_size'))
    return last_size(pipeline_of(cfg.get('test_dataloader')))


def innermost_data_set(dataloader: dict | None) -> dict | None:
    """The data set with a pipeline, the first one within wrappers; None if there is none."""
    dataset: Any = (dataloader or {}).get('dataset')
    while isinstance(dataset, dict) and not dataset.get('pipeline'):
        dataset = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
    return dataset if isinstance(dataset, dict) else None


def pipeline_of(dataloader: dict | None) -> Sequence[dict]:
    """Transforms of a data loader's data set; empty if it has none."""
    dataset = innermost_data_set(dataloader)
    return () if dataset is None else dataset['pipeline']


def reads_files(steps: Sequence[dict]) -> bool:
    """Whether a pipeline reads files: then its pixels are in the order BGR, as OpenCV reads them."""
    return any('LoadImage' in type_name(step) for step in steps)


def last_size(steps: Sequence[dict]) -> tuple[int, int] | None:
    """Shorter and longer side after the last transform that sets a size."""
    sizes = [pair(step[key]) for step in steps for key in SIZES if step.get(key) is not None]
    return sizes[-1] if sizes else None


def pair(size: Any) -> tuple[int, int] | None:
    """Shorter and longer side of a number or a pair, in whatever order; None for anything else."""
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, (list, tuple)) or len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        return None
    return min(sides), max(sides)
