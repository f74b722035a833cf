"""From any plain config to the search of an augmentation on its data."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.search.augmentation.apply import IGNORE_INDEX

from .config_files import host_of
from .config_types import check_types
from .das_config import (
    Base,
    Variable,
    check_model,
    check_searchable,
    held_out_data,
    in_preprocessor,
    merged,
    own_run,
    preprocessor_kind,
    with_search_base,
)
from .das_options import ConversionError, DASOptions
from .das_settings import parts_with_frames, preprocessor_of
from .pure_python import types_as_text
from .search_length import SearchLength, search_length


def ddas(cfg: Config, length: SearchLength) -> dict[str, Any]:
    """DDAS (Liu et al., ICCV 2021): look-ahead by inner products, plain gradient descent of the weights."""
    return {
        'search': {'type': 'mmdas.DDASSearch'},
        'step': {'type': 'mmdas.DDASStep'},
        'weights': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.01}},
        'policy': {'optimizer': {'type': 'Adam', 'lr': 0.005, 'betas': (0.5, 0.999)}},
        'warmup': 0,
    }


def dada(cfg: Config, length: SearchLength) -> dict[str, Any]:
    """DADA (Li et al., ECCV 2020): look-ahead by RELAX; the rate of the weights is in proportion to the batch."""
    rate = 0.1 * cfg.train_dataloader.batch_size / 128
    weights = {'type': 'SGD', 'lr': rate, 'momentum': 0.9, 'weight_decay': 2e-4}
    return {
        'search': {'type': 'mmdas.DADASearch'},
        'step': {'type': 'mmdas.DADAStep'},
        'weights': {'type': 'OptimWrapper', 'optimizer': weights, 'clip_grad': {'max_norm': 5.0}},
        'policy': {'optimizer': {'type': 'Adam', 'lr': 0.005, 'betas': (0.5, 0.999)}},
        'warmup': 0,
    }


def faster_aa(cfg: Config, length: SearchLength) -> dict[str, Any]:
    """Faster AutoAugment (Hataya et al., ECCV 2020): augmented images deceive a critic and keep their class."""
    adam = {'type': 'Adam', 'lr': 1e-3, 'betas': (0.0, 0.999)}
    critic = {'type': 'mmdas.PerceptronCritic'}
    return {
        'search': {'type': 'mmdas.FasterAASearch'},
        'step': {'type': 'mmdas.AdversarialStep', 'critic': critic, 'task_factor': 0.1, 'optimizer': adam},
        'weights': {'type': 'OptimWrapper', 'optimizer': adam},
        'policy': {'optimizer': adam},
        'warmup': 0,
    }


# Method of the command -> what is different in its search.
AUGMENT_SEARCHES: dict[str, Callable[[Config, SearchLength], dict[str, Any]]] = {
    'dada': dada,
    'ddas': ddas,
    'faster-aa': faster_aa,
}


def is_search_method(method: str) -> bool:
    """Whether a method of the conversion is a search: of the clip, or of an augmentation."""
    return method == 'search' or method in AUGMENT_SEARCHES


def convert_augment_search(cfg: Config, method: str, options: DASOptions | None = None) -> Config:
    """The search of an augmentation on the data and the model of a plain config.

    Args:
        cfg: of MMSegmentation or MMPretrain, as its file has it; stays as it is.
        method: a key of ``AUGMENT_SEARCHES``.
        options: of which the length of the search counts.

    Returns:
        The config, named after the method.

    Raises:
        ConversionError: if the config cannot be searched.
        ValueError: for an unknown method.
    """
    if method not in AUGMENT_SEARCHES:
        raise ValueError(f'method must be one of {sorted(AUGMENT_SEARCHES)}, got {method!r}')
    host = types_as_text(cfg)
    check_types(host)
    check_searchable(host)
    name = Path(cfg.filename or 'config').stem
    filename = f'search-{method}_{name}'
    settings = describe_search(host, method, search_length(host, (options or DASOptions()).search_length))
    settings.update(own_run(host, filename, first=True))
    made = merged(with_search_base(host), settings)
    return Config(made.to_dict(), cfg_text=f'# {method} search of {name}', filename=f'{filename}.py')


def describe_search(cfg: Config, method: str, length: SearchLength) -> dict[str, Any]:
    """What the config of a search says beside what it inherits."""
    parts = AUGMENT_SEARCHES[method](cfg, length)
    total, by_epoch = f'max_{length.unit}', length.unit == 'epochs'
    augment = {'type': 'mmdas.SearchedAugment', 'search': parts['search'], **ignored_label(cfg)}
    cosine = {
        'type': 'CosineAnnealingLR',
        'T_max': Variable(total),
        'end': Variable(total),
        **({'convert_to_iter_based': True} if by_epoch else {'by_epoch': False}),
    }
    return {
        total: length.total,
        **({} if cfg.get('default_scope') else {'default_scope': host_of(cfg).scope}),
        **in_preprocessor(cfg, augmented_preprocessor(cfg, [augment])),
        'train_dataloader': held_out_data(),
        'train_cfg': {
            '_delete_': True,
            'type': f'mmdas.{"Epoch" if by_epoch else "Iter"}BasedSearchLoop',
            total: Variable(total),
            f'warmup_{length.unit}': parts['warmup'],
            'val_interval': Variable(total, times=10),  # never: the network of a search is not what comes of it
            'step': parts['step'],
        },
        'val_cfg': None,
        'val_dataloader': None,
        'val_evaluator': None,
        'optim_wrapper': {
            '_delete_': True,
            'constructor': 'mmdas.SearchOptimWrapperConstructor',
            'weights': parts['weights'],
            'policy': parts['policy'],
        },
        'param_scheduler': {
            **({'_delete_': True} if 'param_scheduler' in cfg else {}),
            'weights': [cosine],
            'policy': [],
        },
        'custom_hooks': Base('search_hooks'),
        'randomness': {'seed': 0},
    }


def augmented_preprocessor(cfg: Config, augments: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings of a data preprocessor that takes augments: one of DAS, with a single frame where it is plain.

    Raises:
        ConversionError: if the model or its data preprocessor is of a kind that takes none.
    """
    own = preprocessor_of(cfg)
    augments = [*copy.deepcopy(own.get('augments') or []), *augments]
    if 'num_frames' in own:
        return {'augments': augments}
    host = host_of(cfg)
    check_model(host, cfg.get('model') or {})
    return {'type': preprocessor_kind(host, own), 'num_frames': 1, 'augments': augments}


def ignored_label(cfg: Config) -> dict[str, int]:
    """The label that does not count, for an augment of segmentation: that which the losses of the heads leave out.

    Raises:
        ConversionError: if the heads leave out different ones.
    """
    host, model = host_of(cfg), cfg.get('model') or {}
    if not host.label_maps:
        return {}
    found = {place: inner_head(head).get('ignore_index', IGNORE_INDEX) for place, head in heads_of(model)}
    if len(set(found.values())) > 1:
        said = ', '.join(f'model.{place}.ignore_index is {value}' for place, value in found.items())
        raise ConversionError(
            f'{said}: the places that an augmentation uncovers get the label that does not count; set the same for all '
            'heads'
        )
    return {'ignore_index': next(iter(found.values()), IGNORE_INDEX)}


def heads_of(model: Mapping[str, Any]) -> list[tuple[str, dict]]:
    """Places and configs of a model's heads."""
    return [(place, part) for place, part in parts_with_frames(dict(model)).items() if place != 'backbone']


def inner_head(head: Mapping[str, Any]) -> Mapping[str, Any]:
    """The toolbox's head in one that pools over frames, or this one."""
    inner = head.get('head', head)
    return inner[head.get('index', 0)] if isinstance(inner, (list, tuple)) else inner
