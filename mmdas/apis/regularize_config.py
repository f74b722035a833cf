"""A training with regularisers of labels and features, from any config."""

import inspect
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS

from mmdas.hosts import Host
from mmdas.noise import import_toolbox
from mmdas.registry import type_name

from .augment_words import WORDS
from .config_files import did_you_mean, host_of, iterate_dicts
from .das_options import ConversionError
from .das_settings import is_search, parts_with_frames
from .soft_labels import check_pairs

SMOOTHING = 'label-smoothing'
# Word of the command -> type of the regulariser of features.
FEATURES = {'dropblock': 'mmdas.DropBlock', 'adl': 'mmdas.ADL', 'mixstyle': 'mmdas.MixStyle'}
REGULARIZERS = (SMOOTHING, *FEATURES)
AMOUNT = 0.1  # of the label's probability that all classes share (Szegedy et al., CVPR 2016, Sec. 7)
PLAIN_LOSS = 'CrossEntropyLoss'
KINDS = ('use_sigmoid', 'use_mask', 'use_soft')  # options of it that say which cross-entropy it is


def set_regularizers(cfg: Config, words: Sequence[str], own_folder: bool = False) -> None:
    """Let a training regularise its labels or features, whatever else the config says.

    Args:
        cfg: plain or of DAS; changed.
        words: of ``REGULARIZERS``: ``'label-smoothing'`` of each cross-entropy over the classes, and ``'dropblock'``,
            ``'adl'`` and ``'mixstyle'`` with their defaults at their default sites.
        own_folder: whether the work directory gets the words at its end, since it is that of the training without
            them. Default: False.

    Raises:
        ConversionError: for an unknown word, one that is given twice, or one that does not go with the config.
    """
    for place, word in enumerate(words):
        if word not in REGULARIZERS:
            close = get_close_matches(word.lower().replace('_', '-'), REGULARIZERS, n=1)
            told = '--augment takes it; ' if word in WORDS else did_you_mean(close[0] if close else None)
            raise ConversionError(f'there is no regulariser {word}; {told}they are {", ".join(REGULARIZERS)}')
        if word in words[:place]:
            raise ConversionError(f'the regulariser {word} is named twice; leave one out')
    for word in words:
        if word == SMOOTHING:
            smooth_labels(cfg)
        else:
            regularize_features(cfg, word)
    if own_folder:
        cfg.work_dir = '_'.join([cfg.work_dir, *words])


def regularize_features(cfg: Config, word: str) -> None:
    """Add the hook of a regulariser of features.

    Args:
        cfg: of a training; changed.
        word: key of ``FEATURES``.

    Raises:
        ConversionError: for a search, a model without a backbone, a regulariser that the config has already, or
            MixStyle where a batch is one image.
    """
    hooks = list(cfg.get('custom_hooks') or [])
    if is_search(cfg):
        raise ConversionError(
            f'{word} changes losses at random, which the selection of a search compares; leave it out'
        )
    if not (cfg.get('model') or {}).get('backbone'):
        raise ConversionError(f'{word} acts on the features of model.backbone, which this config does not have')
    named = [type_name(hook.get('feature')) for hook in hooks if isinstance(hook, dict)]
    if type_name({'type': FEATURES[word]}) in named:
        raise ConversionError(f'custom_hooks of the config has {FEATURES[word]} already; leave {word} out')
    if word == 'mixstyle':
        check_pairs(cfg, word)
    cfg.custom_hooks = [*hooks, {'type': 'mmdas.FeatureHook', 'feature': {'type': FEATURES[word]}}]


def smooth_labels(cfg: Config) -> None:
    """Smooth the labels of each cross-entropy over the classes, with its other options as they are.

    An auxiliary head without one keeps its loss, and a message says so.

    Args:
        cfg: of a training; changed.

    Raises:
        ConversionError: if a head that predicts has no cross-entropy over the classes, or smooths its labels already.
    """
    host = host_of(cfg)
    _check_model(cfg, host)
    heads = {place: head for place, head in parts_with_frames(cfg.model).items() if place.split('.')[0] in host.heads}
    for place, head in heads.items():
        kinds = _smooth_head(head, host)
        if not kinds:
            continue
        text = f'model.{place} has {" and ".join(kinds)}, not {PLAIN_LOSS} over the classes'
        if place.split('.')[0] == host.heads[0]:
            raise ConversionError(f'{SMOOTHING}: {text}; leave {SMOOTHING} out')
        print_log(f'{SMOOTHING} leaves an auxiliary head as it is: {text}', logger='current', level=logging.WARNING)


def _check_model(cfg: Config, host: Host) -> None:
    """Check that the labels of a model are classes.

    Raises:
        ConversionError: for a model of another kind, as a pretraining without labels has it.
    """
    model = cfg.get('model') or {}
    import_toolbox(host.scope)
    kinds = tuple(_class_of({'type': name}, host) for name in host.models)
    found = _class_of(model, host)
    if not host.smooth_loss or not isinstance(found, type) or not issubclass(found, kinds):
        names = ', '.join(host.models) or 'those of MMSegmentation and MMPretrain'
        raise ConversionError(
            f'{SMOOTHING}: model.type is {type_name(model) or None}, and labels of {names} can be smoothed; leave '
            f'{SMOOTHING} out'
        )
    if not model.get(host.heads[0]):
        raise ConversionError(f'{SMOOTHING}: the model has no {host.heads[0]} whose loss could smooth its labels')


def _class_of(part: Any, host: Host) -> Any:
    """Class of a part of a config; None where nobody knows its type."""
    kind = part.get('type')
    return MODELS.get(kind if '.' in kind else f'{host.scope}.{kind}') if isinstance(kind, str) else kind


def _smooth_head(head: Any, host: Host) -> list[str]:
    """Smooth what a head has to smooth; the kinds of its losses where it has nothing."""
    nodes = [node for _, node in iterate_dicts(head) if host.loss in node]
    slots = [(node, node[host.loss]) for node in nodes] or [_default_slot(head, host)]
    kinds: list[str] = []
    for node, told in slots:
        losses = list(told) if isinstance(told, (list, tuple)) else [told]
        own = [_kind(loss) for loss in losses]
        if PLAIN_LOSS in own:
            made = [_smoothed(loss, host) if _kind(loss) == PLAIN_LOSS else loss for loss in losses]
            node[host.loss] = made if isinstance(told, (list, tuple)) else made[0]
        kinds += own
    return [] if PLAIN_LOSS in kinds else kinds


def _inner_head(head: Any) -> Any:
    """The host's head in a config, within what DAS has put around it."""
    return _inner_head(head['head']) if isinstance(head.get('head'), dict) else head


def _default_slot(head: Any, host: Host) -> tuple[Any, Any]:
    """The part of a head that leaves its loss out, and the loss that its class then takes; the option where none."""
    inner = _inner_head(head)
    for base in getattr(_class_of(inner, host), '__mro__', ()):
        own = vars(base).get('__init__')
        default = inspect.signature(own).parameters.get(host.loss) if own is not None else None
        if default is not None and default.default is not default.empty:
            return inner, default.default
    return inner, f'no {host.loss}'


def _kind(loss: Any) -> str:
    """Name of a loss, with what makes it another one than that over the classes."""
    others = [f' ({key}=True)' for key in KINDS[:2] if isinstance(loss, dict) and loss.get(key)]
    return (type_name(loss) or str(loss)) + ''.join(others)


def _smoothed(loss: Any, host: Host) -> dict[str, Any]:
    """The smoothed form of a plain loss."""
    kind, option = host.smooth_loss
    own = {key: value for key, value in loss.items() if key not in ('type', *KINDS)}
    return {'type': kind, option: AMOUNT, **own}
