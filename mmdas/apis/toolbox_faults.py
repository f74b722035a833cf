"""Faults of the toolboxes that a config would meet; each has a script in ``findings/`` that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import CheckpointHook

from mmdas.registry import type_name

from .config_files import iterate_dicts, value_at

Found = tuple[str, str] | None  # what happens, and what to do
OF_ONE_IMAGE = ('RandomFlip', 'RandomRotate', 'RandomRotFlip', 'PhotoMetricDistortion')
RECIPE = {'action_epoch', 'train_pipeline', 'batch_augments', 'loss'}  # keys of SwitchRecipeHook
ERRORS = ('loss', 'error')  # parts of a metric's name that is no score
HAUSDORFF = 'HuasdorffDisstanceLoss'  # as MMSegmentation spells it


@dataclass(frozen=True)
class KnownFault:
    """A piece of a config, and what a toolbox makes of it.

    Args:
        place: dotted key of the piece.
        text: what happens.
        remedy: what to do.
    """

    place: str
    text: str
    remedy: str


def known_faults(cfg: Config) -> list[KnownFault]:
    """The faults of MMSegmentation, MMPretrain, MMEngine and OpenCV that a config would meet on this machine.

    Args:
        cfg: of either toolbox; it is read only.

    Returns:
        In the order of the config; empty where nothing is known.
    """
    rules = RULES.get(cfg.get('default_scope', ''), ())
    found = (
        (place, rule(cfg, place, node))
        for place, node in iterate_dicts(dict(cfg.items()))
        if type_name(node) and not str(node['type']).startswith('mmdas.')
        for rule in rules
    )
    return [KnownFault(place, *said) for place, said in found if said is not None]


def focal_on_cpu(cfg: Config, place: str, node: Mapping) -> Found:
    """FocalLoss of label maps."""
    if type_name(node) != 'FocalLoss' or get_device() != 'cpu':
        return None
    return 'FocalLoss of MMSegmentation fails on the CPU with label maps', 'train on a GPU, or with CrossEntropyLoss'


def class_weights(cfg: Config, place: str, node: Mapping) -> Found:
    """Class weights that the cross entropy does not take."""
    if type_name(node) != 'CrossEntropyLoss' or node.get('class_weight') is None:
        return None
    if node.get('use_sigmoid'):
        return 'class_weight with use_sigmoid weighs the columns of the image, or fails', 'leave out class_weight'
    if node.get('avg_non_ignore'):
        return 'class_weight with avg_non_ignore fails in the first batch', 'leave out avg_non_ignore'
    return None


def hausdorff_classes(cfg: Config, place: str, node: Mapping) -> Found:
    """A loss that cannot tell several classes of objects."""
    if type_name(node) != HAUSDORFF:
        return None
    return f'{HAUSDORFF} costs as much for the wrong class as for the right one, from three classes on', (
        'take it for background and one class alone'
    )


def dice_ignored(cfg: Config, place: str, node: Mapping) -> Found:
    """A loss that learns from ignored pixels."""
    if type_name(node) != 'DiceLoss':
        return None
    return 'DiceLoss learns from pixels with the ignored label', 'take TverskyLoss where labels have ignored pixels'


def one_channel_views(cfg: Config, place: str, node: Mapping) -> Found:
    """Test-time augmentation that takes the sigmoid twice."""
    heads = [one for path, one in iterate_dicts(dict(cfg.get('model') or {})) if 'decode_head' in path]
    if type_name(node) != 'SegTTAModel' or not any(head.get('out_channels') == 1 for head in heads):
        return None
    return 'SegTTAModel makes everything foreground where the head has one output channel', (
        "mmdas test --tta takes mmdas.SegTTAModel in its place; elsewhere set type='mmdas.SegTTAModel'"
    )


def quarter_turn(cfg: Config, place: str, node: Mapping) -> Found:
    """Turned label maps that lose labels."""
    if type_name(node) != 'RandomRotate' or quarter_turn_labels() == 49:
        return None
    return (
        'quarter turns of label maps with an odd and an even side lose every second row and column in this OpenCV',
        'pip install "opencv-python<5", or crop to even sides',
    )


def blended_labels(cfg: Config, place: str, node: Mapping) -> Found:
    """Label maps that are turned as images are."""
    if type_name(node) != 'RandomRotFlip' or node.get('rotate_prob') == 0:
        return None
    return 'RandomRotFlip turns label maps bilinearly, which makes labels up at the borders of classes', (
        'set rotate_prob=0, and take RandomRotate beside it'
    )


def mirrored_sides(cfg: Config, place: str, node: Mapping) -> Found:
    """Classes of left and right in mirrored views of a test."""
    if type_name(node) != 'RandomFlip' or not node.get('swap_seg_labels'):
        return None
    return (
        'swap_seg_labels changes left and right in a training alone: a mirrored view of a test keeps them exchanged',
        ('test without --tta, and search neither flips nor views with them'),
    )


def one_image_of_a_pair(cfg: Config, place: str, node: Mapping) -> Found:
    """Transforms that change the first of two images."""
    if type_name(node) != 'ConcatCDInput':
        return None
    early = [type_name(step) for step in steps_before(cfg, place) if type_name(step) in OF_ONE_IMAGE]
    if not early:
        return None
    moves = [name for name in early if name != 'PhotoMetricDistortion']
    remedies = [f'put {" and ".join(moves)} behind ConcatCDInput'] if moves else []
    remedies += ['leave PhotoMetricDistortion out'] if len(moves) < len(early) else []
    return (
        f'before ConcatCDInput {" and ".join(early)} {"changes" if len(early) == 1 else "change"} the first image of a '
        'pair and not the second'
    ), ', and '.join(remedies)


def steps_before(cfg: Config, place: str) -> list[Any]:
    """What comes before a step of a pipeline."""
    pipeline, _, number = place.rpartition('.')
    node = value_at(dict(cfg.items()), pipeline)
    return list(node[: int(number)]) if isinstance(node, (list, tuple)) else []


def rate_of_an_epoch(cfg: Config, place: str, node: Mapping) -> Found:
    """A schedule whose factor for an epoch is applied in each iteration."""
    if not type_name(node).startswith('Exponential') or not node.get('convert_to_iter_based'):
        return None
    return f'convert_to_iter_based of {type_name(node)} applies the gamma of an epoch in each iteration', (
        'leave out convert_to_iter_based'
    )


def lighting_wraps(cfg: Config, place: str, node: Mapping) -> Found:
    """A change of colours beyond the range of bytes."""
    if type_name(node) != 'Lighting':
        return None
    return 'Lighting of MMPretrain makes white pixels dark and black ones bright, in two of five draws', (
        'take ColorJitter, which keeps to the range'
    )


def whole_targets(cfg: Config, place: str, node: Mapping) -> Found:
    """A measure of numbers that cuts off what is behind the point."""
    if type_name(node) != 'RegressionMetric':
        return None
    return 'RegressionMetric cuts the true values to whole numbers, so that 0.9 counts as 0', (
        'measure in units in which whole numbers will do, and choose no checkpoint by it'
    )


def endless_plateau(cfg: Config, place: str, node: Mapping) -> Found:
    """Early stopping that a plateau does not stop."""
    if type_name(node) != 'EarlyStoppingHook' or node.get('min_delta') != 0:
        return None
    return 'EarlyStoppingHook with min_delta=0 takes an unchanged score for a better one', 'set min_delta=1e-6'


def guessed_rule(cfg: Config, place: str, node: Mapping) -> Found:
    """A loss that is taken for a score because of a part of its name."""
    if type_name(node) not in ('CheckpointHook', 'EarlyStoppingHook') or node.get('rule') is not None:
        return None
    key = 'save_best' if type_name(node) == 'CheckpointHook' else 'monitor'
    given = node.get(key)
    names = [given] if isinstance(given, str) else given or ()
    wrong = [name for name in names if any(word in name.lower() for word in ERRORS) and is_score(name)]
    if not wrong:
        return None
    rules = ['less' if name in wrong or not is_score(name) else 'greater' for name in names]
    return f'{key} takes {wrong[0]} for a score, the larger the better, by a part of its name', (
        f'set rule={rules[0] if len(rules) == 1 else rules!r}'
    )


def is_score(metric: str) -> bool:
    """Whether MMEngine guesses that more is better."""
    try:
        return CheckpointHook(save_best=metric).rules == ['greater']
    except ValueError:  # it guesses nothing, and will say so
        return False


def recipe_key(cfg: Config, place: str, node: Mapping) -> Found:
    """A change in the middle of a training that never comes."""
    if type_name(node) != 'SwitchRecipeHook':
        return None
    unread = sorted({key for recipe in node.get('schedule', ()) for key in recipe} - RECIPE)
    if not unread:
        return None
    return f'SwitchRecipeHook reads nothing under {", ".join(unread)}, so that this change never comes', (
        f'its keys are {", ".join(sorted(RECIPE))}'
    )


def rotate_fill(cfg: Config, place: str, node: Mapping) -> Found:
    """A rotation that fills one channel of three."""
    kind = type_name(node)
    named = kind in ('RandAugment', 'AutoAugment') and isinstance(node.get('policies'), str)
    if (kind != 'Rotate' and not named) or fills_colours(cfg, place):
        return None
    return 'Rotate of MMPretrain with a single pad_val fills the first channel with it, the others with 0', (
        'set pad_val=[128, 128, 128]' if kind == 'Rotate' else 'set hparams=dict(pad_val=[128, 128, 128])'
    )


def fills_colours(cfg: Config, place: str) -> bool:
    """Whether a transform, or the one around it, has a number for each channel to fill with."""
    return any(
        not isinstance(options.get('pad_val', 128), (int, float))
        for path, node in iterate_dicts(dict(cfg.items()))
        if place == path or place.startswith(f'{path}.')
        for options in (node, node.get('hparams') or {})
    )


def quarter_turn_labels() -> int:
    """How many of 49 labels this OpenCV keeps in a quarter turn of a map of 7 x 10 pixels."""
    import cv2
    import numpy as np

    labels = np.arange(70, dtype=np.uint8).reshape(7, 10)
    turn = cv2.getRotationMatrix2D((4.5, 3.0), 90, 1.0)
    shown = cv2.warpAffine(labels, turn, (10, 7), flags=cv2.INTER_NEAREST, borderValue=255)
    return len(set(shown.flatten().tolist()) - {255})


Rule = Callable[[Config, str, Mapping[str, Any]], Found]
OF_MMENGINE: tuple[Rule, ...] = (rate_of_an_epoch, endless_plateau, guessed_rule)
RULES: dict[str, tuple[Rule, ...]] = {
    'mmseg': (
        focal_on_cpu,
        class_weights,
        hausdorff_classes,
        dice_ignored,
        one_channel_views,
        quarter_turn,
        blended_labels,
        mirrored_sides,
        one_image_of_a_pair,
        *OF_MMENGINE,
    ),
    'mmpretrain': (rotate_fill, lighting_wraps, whole_targets, recipe_key, *OF_MMENGINE),
}
