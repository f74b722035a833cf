"""What the command line says of DAS, in the places of a config where it counts."""

import logging
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from mmdas.hosts import all_hosts, head_places
from mmdas.registry import type_name
from mmdas.search.das import Policy, build_space

from .config_files import host_of

# Options of the data preprocessor that decide the clip.
CLIP_OPTIONS = ('policy', 'cell', 'num_frames')


def preprocessor_of(cfg: Config) -> dict:
    """The data preprocessor that counts, to read or change; empty if the config has none.

    It stands at the top of a config or in its model; the runner fills in the one at the top only where the model has
    none.
    """
    inner = (cfg.get('model') or {}).get('data_preprocessor')
    return inner if inner is not None else cfg.get('data_preprocessor') or {}


def preprocessor_place(cfg: Config) -> str:
    """Where the data preprocessor that counts stands: ``'model.data_preprocessor'`` or ``'data_preprocessor'``."""
    in_model = (cfg.get('model') or {}).get('data_preprocessor') is not None
    return 'model.data_preprocessor' if in_model else 'data_preprocessor'


def is_search(cfg: Config) -> bool:
    """Whether a config searches as it is: its data preprocessor has a cell, or an augmentation that is searched."""
    return preprocessor_of(cfg).get('cell') is not None or searches_augmentation(cfg)


def searches_augmentation(cfg: Config) -> bool:
    """Whether a config is that of the search of an augmentation."""
    augments = preprocessor_of(cfg).get('augments') or ()
    return any(type_name(step) == 'SearchedAugment' for step in augments if isinstance(step, dict))


def check_preprocessors(cfg: Config) -> None:
    """Check that no second data preprocessor, which nothing reads, says something else of the clip.

    A variable ``data_preprocessor`` that was put into the model may lag behind it, which is a warning.

    Raises:
        ValueError: if the one at the top of the config says what that of the model does not; it names the right key.
            If the one that counts takes no augments, but has some.
    """
    outer, inner = cfg.get('data_preprocessor'), preprocessor_of(cfg)
    check_augments(cfg)
    if not outer or preprocessor_place(cfg) == 'data_preprocessor':
        return
    for key in CLIP_OPTIONS:
        if key not in outer or outer[key] == inner.get(key):
            continue
        message = (
            f'data_preprocessor.{key} is {outer[key]!r}, but nothing reads it: the model of this config has a data '
            f'preprocessor of its own; set model.data_preprocessor.{key}, which is {inner.get(key)!r}'
        )
        if key not in inner or outer.get('type') != inner.get('type'):
            raise ValueError(message)
        print_log(message, logger='current', level=logging.WARNING)


def check_augments(cfg: Config) -> None:
    """Check that a data preprocessor with augments is of a type that takes them.

    Raises:
        ValueError: with the type that does.
    """
    options, place, host = preprocessor_of(cfg), preprocessor_place(cfg), host_of(cfg)
    augments, kind = options.get('augments'), type_name(options) or host.preprocessor
    if augments and host.clip_preprocessor and kind == host.preprocessor:
        raise ValueError(
            f'{place}.augments is set, which {kind} does not take; set {place}.type={host.clip_preprocessor!r}, which '
            'does all that it does and takes them'
        )
    if isinstance(augments, dict):
        raise ValueError(f'{place}.augments is a dict, expected a list of them; put it in brackets')


def check_operations(cfg: Config) -> None:
    """Check that the operations of a cell, or of a policy that stands in the config, are known.

    Raises:
        ValueError: naming the place and the operation.
    """
    options, place = preprocessor_of(cfg), preprocessor_place(cfg)
    cell, policy = options.get('cell'), options.get('policy')
    if isinstance(policy, dict):
        Policy.from_dict(policy, f'{place}.policy')
    if cell and type_name(cell) == 'DASCell':
        try:
            frames = options.get('num_frames')
            build_space(cell.get('space', 'paper'), cell.get('ranges'), frames if isinstance(frames, int) else None)
        except ValueError as error:
            raise ValueError(f'{place}.cell: {error}') from error


def set_policy(cfg: Config, policy: str | Path | None) -> None:
    """Let a config use another policy file.

    Args:
        cfg: of a training or test with frames.
        policy: the file; None leaves the config as it is.

    Raises:
        ValueError: if the config makes no clips or searches.
        FileNotFoundError: if there is no such file.
    """
    if policy is None:
        return
    options, place = preprocessor_of(cfg), preprocessor_place(cfg)
    if 'num_frames' not in options:
        raise ValueError(
            f'--policy {policy}: {place} has no num_frames, so that this config makes no clips; --das {policy} '
            'makes it one that does'
        )
    if options.get('cell') is not None:
        raise ValueError(
            f'--policy {policy}: {place}.cell says that this config searches a policy; give the das config that goes '
            'with it'
        )
    Policy.load(policy)
    options['policy'] = str(policy)


def set_used_frames(cfg: Config, frames: int | None) -> None:
    """Let a test use fewer frames than T.

    Args:
        cfg: of a model that was trained for any number of frames.
        frames: around the reference frame, 1 to T; None leaves the config as it is.

    Raises:
        ValueError: if the config makes no clips, has fewer frames, or its model takes T frames alone.
    """
    if frames is None:
        return
    options, place = preprocessor_of(cfg), preprocessor_place(cfg)
    total = options.get('num_frames', 1)
    if total == 1:
        raise ValueError(
            f'--use-frames {frames}: this config makes no clips; leave it out, or give the config or the --das options '
            'of a training with --any-frames'
        )
    if not 1 <= frames <= total:
        raise ValueError(f'--use-frames {frames}: {place}.num_frames is {total}; give 1 to {total}')
    options['used_frames'] = frames
    check_any_frames(cfg)
    for part, settings in parts_with_frames(cfg.model.get('module', cfg.model)).items():
        if part != 'backbone':
            settings['used_frames'] = frames


def check_any_frames(cfg: Config) -> None:
    """Check that backbone and heads take fewer frames where the data preprocessor gives fewer.

    Raises:
        ValueError: naming the part that does not.
    """
    options, place = preprocessor_of(cfg), preprocessor_place(cfg)
    used = options.get('used_frames') or options.get('num_frames', 1)
    if not options.get('frame_dropout') and used == options.get('num_frames', 1):
        return
    model = cfg.model.get('module', cfg.model)
    for part, settings in parts_with_frames(model).items():
        if not settings.get('any_frames'):
            raise ValueError(
                f'{place} gives fewer frames than num_frames={options.get("num_frames")}, but model.{part}.any_frames '
                'is not set: its model takes all of them. Train with --any-frames, or use all frames'
            )


def accept_differences(cfg: Config) -> None:
    """Let the model load weights that were trained with other frames, policy, fusion or pooling, or with none."""
    for part in (preprocessor_of(cfg), *parts_with_frames(cfg.model).values()):
        if 'num_frames' in part or takes_frames(part):
            part['accept_difference'] = True
    cfg.custom_hooks = [
        *(cfg.get('custom_hooks') or []),
        {'type': 'mmdas.ResumeCheckHook', 'accept_difference': True},
    ]


def takes_frames(part: dict) -> bool:
    """Whether a backbone or head takes the number of frames from what comes, where it is not given."""
    heads = (type_name({'type': host.pooled_head}) for host in all_hosts())
    return type_name(part) in ('FrameFusionBackbone', *heads)


def parts_with_frames(model: dict) -> dict[str, dict]:
    """Place -> config of a model's backbone and heads, which have to know the number of frames."""
    return dict(_parts(model))


def _parts(model: dict) -> Iterator[tuple[str, dict]]:
    for place in ('backbone', *head_places()):
        part = model.get(place)
        if isinstance(part, (list, tuple)):
            yield from ((f'{place}.{index}', item) for index, item in enumerate(part))
        elif part is not None:
            yield place, part
