"""From any config of MMSegmentation or MMPretrain to the three of DAS: repeat, search and das.

One description of what each adds to its host serves both forms: :func:`convert` puts it into a loaded config, and
:func:`mmdas.apis.das_configs` writes it as the text of configs that inherit.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from mmengine.config import Config, ConfigDict

from mmdas.hosts import Host, host_scopes
from mmdas.models.heads.temporal_pooling import ALIGNED
from mmdas.registry import type_name

from .config_files import find_config, host_of, read_config
from .config_types import check_types
from .das_options import FUSIONS, SELECTIONS, ConversionError, DASOptions
from .das_settings import preprocessor_of
from .fast_search import shortened
from .pure_python import types_as_text
from .search_length import SEARCH_BASE, search_length

METHODS = ('repeat', 'search', 'das')
SEARCHED = 'policy.json'  # what a search leaves in its work directory


@dataclass(frozen=True)
class Base:
    """A value that the configs before have, at a dotted place."""

    place: str


@dataclass(frozen=True)
class Variable:
    """A number at the top of the same config, or a multiple of it."""

    name: str
    times: int = 1


def convert(cfg: Config, method: str, options: DASOptions | None = None) -> Config:
    """The DAS config of a loaded plain config; equal to loading what ``add_das`` writes.

    Args:
        cfg: of MMSegmentation or MMPretrain, as its file has it; stays as it is.
        method: ``'repeat'`` (equal frames), ``'search'`` (of a policy) or ``'das'`` (training with a policy).
        options: what the user chooses. Default: 4 frames, GSF, the policy of the search.

    Returns:
        The config, whose ``filename`` is the name that ``add_das`` gives it.

    Raises:
        ConversionError: if a part of the config cannot take frames.
        ValueError: for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f'method must be one of {METHODS}, got {method!r}')
    host, options = types_as_text(cfg), options or DASOptions()
    check_types(host)
    name = Path(cfg.filename or 'config').stem
    made = host if stands_alone(method, options) else merged(host, describe('repeat', host, name, options))
    if method == 'search':
        made = with_search_base(made)
    made = merged(made, describe(method, host, name, options))
    filename = f'{stem(method, name, options)}.py'
    return Config(made.to_dict(), cfg_text=f'# {method} config of {name}', filename=filename)


def stem(method: str, name: str, options: DASOptions) -> str:
    """File name of a config of DAS, without ``.py``.

    What is chosen beside the defaults is in it, so that two different runs have two work directories.
    """
    words = [method, f'{options.frames}f', options.fusion]
    if options.part_after is not None:
        words += ['part', _in_file_name(str(options.part_after))]
    if options.pooling != DASOptions.pooling:
        words += ['pool', options.pooling]
    if options.any_frames:
        words += ['any']
    if options.sites:
        words += ['sites', f'{crc32(" ".join(options.sites).encode()):08x}']  # together they are too long for a name
    if method == 'search' and options.selection != DASOptions.selection:
        words += [options.selection]
    if options.fast and (method == 'search' or (method == 'das' and options.policy is None)):
        words += ['fast']
    policy = f'_{policy_name(options)}' if method == 'das' and policy_name(options) else ''
    return f'{"-".join(words)}_{name}{policy}'


def _in_file_name(text: str) -> str:
    """A text in letters that file names take."""
    return re.sub(r'[^\w-]+', '-', text)


def policy_name(options: DASOptions) -> str:
    """Name of the policy's file without its ending, in letters that file names take; empty where a search names it."""
    name = _in_file_name(Path(options.policy or SEARCHED).stem)
    return '' if name == Path(SEARCHED).stem else name


def describe(method: str, cfg: Config, name: str, options: DASOptions) -> dict[str, Any]:
    """What a config of DAS says beside what it inherits, with :class:`Base` and :class:`Variable` in it."""
    if method == 'repeat':
        settings = repeat_settings(cfg, options)
    elif method == 'search' and options.fast:
        settings = overlaid(repeat_settings(cfg, replace(options, any_frames=True)), search_settings(cfg, options))
    elif method == 'search':
        settings = search_settings(cfg, options)
    else:
        policy = options.policy or f'work_dirs/{stem("search", name, options)}/{SEARCHED}'
        dropout = {'frame_dropout': options.frame_choices()} if options.any_frames else {}
        settings = in_preprocessor(cfg, {'policy': policy, **dropout})
    return {**settings, **own_run(cfg, stem(method, name, options), first=stands_alone(method, options))}


def stands_alone(method: str, options: DASOptions) -> bool:
    """Whether a config inherits from the host's alone, and not from the repeat config.

    A fast search does: its backbone and heads also take the image alone.
    """
    return method == 'repeat' or (method == 'search' and options.fast)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two descriptions as one, the second one's values where both have one."""
    made = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            made[key] = overlaid(below[key], above[key])
    return made


def merged(base: Config, settings: dict[str, Any]) -> Config:
    """A loaded config with settings put into it, as MMEngine does it for a config that inherits."""
    made = copy.deepcopy(base)
    made.merge_from_dict(filled(settings, base, settings))
    return made


def filled(node: Any, base: Config, variables: Mapping[str, Any]) -> Any:
    """A piece of a description with values for what it only names."""
    if isinstance(node, Base):
        value: Any = base
        for key in node.place.split('.'):
            value = value[key]
        return copy.deepcopy(value)
    if isinstance(node, Variable):
        return node.times * variables[node.name]
    if isinstance(node, dict):
        return ConfigDict({key: filled(value, base, variables) for key, value in node.items()})
    return [filled(value, base, variables) for value in node] if isinstance(node, list) else node


def with_search_base(cfg: Config) -> Config:
    """A config with what all searches share.

    Raises:
        ConversionError: if the config has a variable of the same name, which MMEngine refuses too.
    """
    shared = read_config(find_config(SEARCH_BASE)[0])
    both = sorted(shared.keys() & cfg.keys())
    if both:
        raise ConversionError(f'its search could not start: Duplicate key {", ".join(both)}, which all searches have')
    return merged(cfg, shared.to_dict())


def own_run(cfg: Config, name: str, first: bool = False) -> dict[str, Any]:
    """What must not be that of the host's own run, as far as the host says it.

    The work directory, the name of the experiment, and the checkpoint of the host's run that it resumes or tests, as in
    a config that a run has written. Weights from elsewhere that the host starts from stay.

    Args:
        cfg: the plain config.
        name: of the new config, without ``.py``.
        first: whether the others inherit from it.
    """
    settings: dict[str, Any] = {}
    if cfg.get('work_dir'):
        settings['work_dir'] = f'work_dirs/{name}'
    if cfg.get('experiment_name'):
        settings['experiment_name'] = name
    if first and (cfg.get('resume') or starts_from_own_run(cfg)):
        settings.update(load_from=None, resume=False)
    return settings


def starts_from_own_run(cfg: Config) -> bool:
    """Whether ``load_from`` is a checkpoint in the work directory of the same config."""
    if not cfg.get('load_from') or not cfg.get('work_dir') or '://' in cfg.load_from:
        return False
    return Path(cfg.load_from).resolve().is_relative_to(Path(cfg.work_dir).resolve())


def repeat_settings(cfg: Config, options: DASOptions) -> dict[str, Any]:
    """The host's model on T equal frames: what the other two inherit from."""
    model, host = cfg.get('model') or {}, host_of(cfg)
    check_model(host, model)
    if options.pooling in ALIGNED and not host.label_maps:
        raise ConversionError(f'pooling={options.pooling!r} aligns maps of logits, which only segmentation has')
    frames, fusion, kind = Variable('num_frames'), FUSIONS[options.fusion], type_name(model)
    parts = {} if options.part_after is None else {'part_after': options.part_after}
    clip_model = host.models[kind] or (host.late_models.get(kind, '') if parts else '')
    clip_model = clip_model or (aligned_model(host, model) if options.aligned else '')
    preprocessor = {'data_preprocessor': {'type': preprocessor_kind(host, preprocessor_of(cfg)), 'num_frames': frames}}
    top = preprocessor_at_top(cfg)
    backbone = {
        '_delete_': True,
        'type': 'mmdas.FrameFusionBackbone',
        'num_frames': frames,
        'fusion': fusion and {'type': fusion, **border(options), **({'aligned': True} if options.aligned else {})},
        **any_frames(options),
        **parts,
        **({'stages': list(options.sites)} if options.sites else {}),
        'backbone': Base('model.backbone'),
    }
    heads = {
        place: pooled_head(place, model[place], host, options) for place in host.heads if model.get(place) is not None
    }
    return {
        'num_frames': options.frames,
        **({} if cfg.get('default_scope') else {'default_scope': host.scope}),
        **(preprocessor if top else {}),
        'model': {
            **({'type': clip_model} if clip_model else {}),
            **({} if top else preprocessor),
            'backbone': backbone,
            **heads,
        },
    }


def check_model(host: Host, model: dict) -> None:
    """Refuse models whose parts do not go from an image to one prediction.

    Raises:
        ConversionError: naming the model.
    """
    if host.scope not in host_scopes():
        raise ConversionError(f'default_scope is {host.scope!r}; DAS extends configs of {" and ".join(host_scopes())}')
    kind = type_name(model)
    if kind not in host.models:
        raise ConversionError(
            f'model.type is {kind or None}, no {" or ".join(host.models)}: it has no prediction that could be '
            'pooled over the frames'
        )
    for place in ('backbone', host.heads[0]):
        if not model.get(place):
            raise ConversionError(f'the model has no {place}')


def aligned_model(host: Host, model: dict) -> str:
    """The type that hands the warps of the frames to an aligned fusion.

    Raises:
        ConversionError: if the toolbox has none.
    """
    kind = type_name(model)
    if kind not in host.late_models:
        raise ConversionError(f'no aligned fusion for a {kind} of {host.scope}; take another --fusion, such as tsm')
    return host.late_models[kind]


def preprocessor_at_top(cfg: Config) -> bool:
    """Whether the data preprocessor that counts stands at the top of the config, and not in the model."""
    inner = (cfg.get('model') or {}).get('data_preprocessor')
    return inner is None and cfg.get('data_preprocessor') is not None


def preprocessor_kind(host: Host, preprocessor: dict) -> str:
    """The preprocessor of DAS that takes the place of the host's, or is there already, with one frame, for augments.

    Raises:
        ConversionError: if it is of another type, or makes clips already.
    """
    kind = type_name(preprocessor) or host.preprocessor
    if kind == type_name({'type': host.clip_preprocessor}):
        clips = preprocessor.get('num_frames', 1) > 1 or preprocessor.get('policy') or preprocessor.get('cell')
        if clips:
            raise ConversionError(f'data_preprocessor.type is {kind}, which makes clips already; give the plain config')
    elif kind != host.preprocessor:
        raise ConversionError(f'data_preprocessor.type is {kind}; DAS has one in place of {host.preprocessor}')
    return host.clip_preprocessor


def any_frames(options: DASOptions) -> dict[str, bool]:
    """What backbone and heads say of clips of fewer frames."""
    return {'any_frames': True} if options.any_frames else {}


def border(options: DASOptions) -> dict[str, str]:
    """What a fusion says of the first and last frame, so that of one frame nothing moves."""
    is_tsm = FUSIONS[options.fusion] == FUSIONS['tsm']
    return {'border': 'replicate'} if options.any_frames and is_tsm else {}


def pooled_head(place: str, head: dict | list, host: Host, options: DASOptions) -> dict | list:
    """The wrapped head, or the list of them; MMEngine's ``_base_`` variables cannot point into a list."""
    items = {
        'type': host.pooled_head,
        'num_frames': Variable('num_frames'),
        'head': Base(f'model.{place}'),
        **({} if options.pooling == 'mean' else {'pooling': options.pooling}),
        **any_frames(options),
    }
    if isinstance(head, dict):
        return {'_delete_': True, **items}
    return [{**items, 'index': index} for index in range(len(head))]


def in_preprocessor(cfg: Config, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of the data preprocessor, in its place."""
    inner = {'data_preprocessor': settings}
    return inner if preprocessor_at_top(cfg) else {'model': inner}


def with_model(settings: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Settings with more of the model, if there is more."""
    return {**settings, 'model': {**settings.get('model', {}), **model}} if model else settings


def search_settings(cfg: Config, options: DASOptions) -> dict[str, Any]:
    """The search of a policy: the training set in two parts, a cell, two optimisers and the search loop."""
    check_searchable(cfg)
    length = search_length(cfg, options.search_length)
    if options.fast:
        length = shortened(length)
    total = f'max_{length.unit}'
    by_epoch = length.unit == 'epochs'
    cosine = {
        'type': 'CosineAnnealingLR',
        'T_max': Variable(total),
        'end': Variable(total),
        'eta_min_ratio': 0.1,  # the rate of the tuning between the decisions
        **({'convert_to_iter_based': True} if by_epoch else {'by_epoch': False}),
    }
    cell = {'type': 'mmdas.DASCell', 'space': 'paper', 'share_strength': True, 'ranges': Base('half_ranges')}
    # Frames of a search are mixtures of warps, and cannot be aligned.
    fusion = {'backbone': {'fusion': {'aligned': False}}} if options.aligned else {}
    return {
        total: length.total,
        **with_model(in_preprocessor(cfg, {'cell': cell}), fusion),
        'train_dataloader': held_out_data(),
        'train_cfg': {
            '_delete_': True,
            'type': f'mmdas.{"Epoch" if by_epoch else "Iter"}BasedSearchLoop',
            total: Variable(total),
            f'warmup_{length.unit}': length.warmup,
            **({f'image_{length.unit}': length.image} if length.image else {}),
            'val_interval': Variable(total, times=10),  # once, at the end of all phases
            'selection': selection(options, by_epoch),
            'criterion': 'loss',
        },
        'optim_wrapper': {
            '_delete_': True,
            'constructor': 'mmdas.SearchOptimWrapperConstructor',
            'weights': weights_optimizer(cfg.optim_wrapper),
            'policy': policy_optimizer(cfg.optim_wrapper, length.optimizer),
        },
        'param_scheduler': {
            # Where there is nothing to delete, MMEngine would leave the word behind.
            **({'_delete_': True} if 'param_scheduler' in cfg else {}),
            'weights': [cosine],
            'policy': [],
        },
        'custom_hooks': Base('search_hooks'),
        'randomness': {'seed': 0},
    }


def check_searchable(cfg: Config) -> None:
    """Refuse configs that cannot be trained, hence not searched.

    Raises:
        ConversionError: naming what is missing.
    """
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not cfg.get(key):
            raise ConversionError(f'the config has no {key}: it cannot be trained, hence not searched')
    if not cfg.train_dataloader.get('dataset'):
        raise ConversionError('train_dataloader has no dataset: there is nothing to hold out of it')
    if not cfg.optim_wrapper.get('optimizer'):
        raise ConversionError('optim_wrapper has no optimizer: a search steps all weights with one')
    if cfg.get('runner_type', 'Runner') != 'Runner':
        raise ConversionError(f'runner_type is {cfg.runner_type}; a search runs with the Runner of MMEngine alone')


def held_out_data() -> dict[str, Any]:
    """The training set in two parts, of which the loader takes the one for the weights."""
    return {
        'dataset': {
            '_delete_': True,
            'type': 'mmdas.HoldoutDataset',
            'part': 'weights',
            'dataset': Base('train_dataloader.dataset'),
        }
    }


def selection(options: DASOptions, by_epoch: bool) -> dict[str, Any]:
    """The selection, with the numbers that suit a search of the host's unit, and a chain where frames are aligned."""
    numbers = {}
    if options.selection == 'perturbation':
        numbers = {'num_batches': 8, **({} if by_epoch else {'tune': 20})}
    if options.pooling in ALIGNED or options.aligned:
        numbers['edges_per_node'] = 1
    return {'type': SELECTIONS[options.selection], **numbers}


def weights_optimizer(wrapper: dict) -> Base | dict[str, Base]:
    """The host's optimiser for the weights of the search, which accumulates no gradients."""
    if wrapper.get('accumulative_counts', 1) == 1:
        return Base('optim_wrapper')
    kept = [key for key in wrapper if key not in ('accumulative_counts', '_scope_')]
    return {key: Base(f'optim_wrapper.{key}') for key in kept}


def policy_optimizer(wrapper: dict, optimizer: str) -> dict[str, Any]:
    """The optimiser of the policy, in mixed precision where the host's is."""
    if type_name(wrapper) != 'AmpOptimWrapper':
        return {'optimizer': Base(optimizer)}
    kept = {key: Base(f'optim_wrapper.{key}') for key in ('loss_scale', 'dtype') if key in wrapper}
    return {'type': 'AmpOptimWrapper', 'optimizer': Base(optimizer), **kept}
