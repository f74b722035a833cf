"""From any config of MMSegmentation or MMPretrain to the three configs of DAS that inherit from it.

The texts name what they take from the host as ``{{_base_.model.backbone}}`` and copy nothing, so that a change of the
host's config reaches them.
"""

import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import get_installed_path
from torch.overrides import TorchFunctionMode

from mmdas.models import build_frame_fusion_backbone, build_temporal_pooling_cls_head, build_temporal_pooling_head
from mmdas.registry import MODELS

from .runner import load_config

TOOLBOXES = ('mmseg', 'mmpretrain')
FUSIONS = {'tsm': 'mmdas.TemporalShift', 'gsm': 'mmdas.GateShift', 'gsf': 'mmdas.GateShiftFuse', 'none': None}
PREPROCESSORS = {
    'SegDataPreProcessor': 'mmdas.DASSegDataPreProcessor',
    'ClsDataPreprocessor': 'mmdas.DASClsDataPreprocessor',
}
# A search takes this part of the host's training, and the weights alone this part of the search.
SEARCH_PART, WARMUP_PART = 0.1, 0.25
LINE = 120


class ConversionError(ValueError):
    """A config that cannot become one of DAS; the message says which part is in the way."""


@dataclass(frozen=True)
class Host:
    """A plain config and how other configs refer to it.

    Args:
        cfg: the loaded config.
        base: what stands in ``_base_``: ``'mmseg::folder/name.py'`` or a path relative to the new configs.
        name: of the file, without ``.py``.
    """

    cfg: Config
    base: str
    name: str

    @property
    def toolbox(self) -> str:
        """``'mmseg'`` or ``'mmpretrain'``."""
        return self.cfg.get('default_scope', 'none')


@dataclass(frozen=True)
class DASOptions:
    """What a user chooses.

    Args:
        frames: T >= 2. Default: 4.
        fusion: ``'tsm'``, ``'gsm'``, ``'gsf'`` or ``'none'``. Default: ``'gsf'``.
        policy: file that the train config names; None takes what the search config leaves in its work directory.

    Raises:
        ValueError: for fewer than two frames or an unknown fusion.
    """

    frames: int = 4
    fusion: str = 'gsf'
    policy: str | None = None

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f'frames must be at least 2, got {self.frames}: one frame is the plain model')
        if self.fusion not in FUSIONS:
            raise ValueError(f'fusion must be one of {sorted(FUSIONS)}, got {self.fusion!r}')


def add_das(config: str | Path, out_dir: str | Path | None = None, options: DASOptions | None = None) -> list[Path]:
    """Write the DAS configs of a plain config.

    Args:
        config: a file, or the name of an installed config: ``'mmseg::pspnet/NAME.py'``, or ``'NAME'`` alone.
        out_dir: folder of the new configs. Default: ``configs/das_<name>`` in the working directory.
        options: what the user chooses. Default: 4 frames, GSF, the policy of the search.

    Returns:
        The paths of the repeat, search and train configs. Files of these names are written anew.

    Raises:
        FileNotFoundError: if there is no such config.
        ConversionError: if a part of the model cannot take frames; nothing is written then.
    """
    path, installed = find_config(config)
    folder = Path(out_dir) if out_dir is not None else Path('configs', f'das_{path.stem}')
    base = installed or Path(os.path.relpath(path, folder)).as_posix()
    host = Host(load_config(path), base, path.stem)
    texts = das_configs(host, options)
    check_builds(host)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding='utf-8')
    return [folder / name for name in texts]


def find_config(config: str | Path) -> tuple[Path, str | None]:
    """Path of a config and, where it is an installed one, what stands for it in ``_base_``.

    Raises:
        FileNotFoundError: if there is no such file and no installed config of the name.
    """
    if Path(config).is_file():
        return Path(config), None
    toolbox, _, name = str(config).rpartition('::')
    name = name.removesuffix('.py')
    for package in [toolbox] if toolbox else TOOLBOXES:
        folder = Path(get_installed_path(package), '.mim', 'configs')
        found = sorted(path for path in folder.rglob('*.py') if path.relative_to(folder).as_posix()[:-3].endswith(name))
        found = [path for path in found if path.stem == Path(name).name]
        if found:
            return found[0], f'{package}::{found[0].relative_to(folder).as_posix()}'
    raise FileNotFoundError(
        f'there is no file {config} and no installed config of that name; '
        'give a path, mmseg::FOLDER/NAME.py or mmpretrain::FOLDER/NAME.py'
    )


class WithoutWeights(TorchFunctionMode):
    """Let modules be built without memory for their weights.

    Not ``torch.device('meta')``: some backbones compute their drop rates with tensors and need the values.
    """

    def __torch_function__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs['device'] = 'meta'
        return func(*args, **kwargs)


def check_builds(host: Host) -> None:
    """Build the wrapped backbone and heads without memory for their weights.

    Raises:
        ConversionError: with the reason of the part that refuses, such as a backbone without residual blocks.
    """
    model, classifier = host.cfg.model, host.toolbox == 'mmpretrain'
    build_head = build_temporal_pooling_cls_head if classifier else build_temporal_pooling_head
    heads = [model[place] for place in ('decode_head', 'auxiliary_head', 'head') if model.get(place) is not None]
    with DefaultScope.overwrite_default_scope(host.toolbox), WithoutWeights():
        try:
            backbone = MODELS.build(model.backbone)
            build_frame_fusion_backbone(backbone, 2, {'type': 'mmdas.TemporalShift'})
            for head in heads:
                for index in range(len(head)) if isinstance(head, (list, tuple)) else [None]:
                    build_head(head, num_frames=2, index=index)
        except (ValueError, TypeError, KeyError, NotImplementedError, RuntimeError, ImportError, AssertionError) as error:
            raise ConversionError(' '.join(str(error).split())) from error


def das_configs(host: Host, options: DASOptions | None = None) -> dict[str, str]:
    """Texts of the repeat, search and train configs of a host.

    Args:
        host: the plain config.
        options: what the user chooses. Default: 4 frames, GSF, the policy of the search.

    Returns:
        file name -> text, in the order repeat, search, train.

    Raises:
        ConversionError: if a part of the host's config cannot take frames.
    """
    options = options or DASOptions()
    suffix = f'{options.frames}f-{options.fusion}_{host.name}'
    repeat, search, train = (f'{method}-{suffix}.py' for method in ('repeat', 'search', 'das'))
    policy = options.policy or f'work_dirs/{Path(search).stem}/policy.json'
    return {
        repeat: repeat_config(host, options),
        search: search_config(host, f'./{repeat}'),
        train: train_config(host, f'./{repeat}', policy),
    }


def repeat_config(host: Host, options: DASOptions) -> str:
    """The host's model on T equal frames: what the other two inherit from."""
    model = host.cfg.get('model') or {}
    check_model(host.toolbox, model)
    parts = []
    top, preprocessor = preprocessor_place(host)
    kind = preprocessor_kind(host.toolbox, preprocessor)
    preprocessor_text = f"dict(type='{kind}', num_frames=num_frames)"
    if not top:
        parts.append(f'data_preprocessor={preprocessor_text},')
    parts.append(backbone_text(options.fusion))
    wrapper = 'mmdas.TemporalPoolingHead' if host.toolbox == 'mmseg' else 'mmdas.TemporalPoolingClsHead'
    for place in ('decode_head', 'auxiliary_head') if host.toolbox == 'mmseg' else ('head',):
        if model.get(place) is not None:
            parts.append(head_text(place, model[place], wrapper))
    body = textwrap.indent('\n'.join(parts), '    ')
    lines = [
        f'# {options.frames} equal copies of the image: what frame fusion brings without any transformation.',
        f'_base_ = [{host.base!r}]',
        f'num_frames = {options.frames}',
        *([f'data_preprocessor = {preprocessor_text}'] if top else []),
        f'model = dict(\n{body}\n)',
    ]
    return '\n'.join(lines) + '\n'


def check_model(toolbox: str, model: dict) -> None:
    """Refuse models whose parts do not go from an image to one prediction.

    Raises:
        ConversionError: naming the model.
    """
    known = {'mmseg': ('EncoderDecoder', 'CascadeEncoderDecoder'), 'mmpretrain': ('ImageClassifier',)}
    if toolbox not in known:
        raise ConversionError(f'default_scope is {toolbox!r}; DAS extends configs of {" and ".join(known)}')
    kind = str(model.get('type')).rpartition('.')[2]
    if kind not in known[toolbox]:
        raise ConversionError(
            f'model.type is {kind}, no {" or ".join(known[toolbox])}: it has no prediction that could be pooled '
            'over the frames'
        )
    for place in ('backbone', 'decode_head' if toolbox == 'mmseg' else 'head'):
        if not model.get(place):
            raise ConversionError(f'the model has no {place}')


def preprocessor_place(host: Host) -> tuple[bool, dict]:
    """Whether the data preprocessor that counts stands at the top of the config, and what it is."""
    inner = (host.cfg.get('model') or {}).get('data_preprocessor')
    if inner is not None:  # the runner fills in the one at the top only where the model has none
        return False, inner
    return host.cfg.get('data_preprocessor') is not None, host.cfg.get('data_preprocessor') or {}


def preprocessor_kind(toolbox: str, preprocessor: dict) -> str:
    """The preprocessor of DAS that takes the place of the host's.

    Raises:
        ConversionError: if the host's is of another type than its toolbox has.
    """
    default = 'SegDataPreProcessor' if toolbox == 'mmseg' else 'ClsDataPreprocessor'
    kind = str(preprocessor.get('type', default)).rpartition('.')[2]
    if kind != default:
        raise ConversionError(f'data_preprocessor.type is {kind}; DAS has one in place of {default}')
    return PREPROCESSORS[kind]


def backbone_text(fusion: str) -> str:
    """The wrapped backbone."""
    module = 'None' if FUSIONS[fusion] is None else f"dict(type='{FUSIONS[fusion]}')"
    return (
        'backbone=dict(\n'
        '    _delete_=True,\n'
        "    type='mmdas.FrameFusionBackbone',\n"
        '    num_frames=num_frames,\n'
        f'    fusion={module},\n'
        '    backbone={{_base_.model.backbone}},\n'
        '),'
    )


def head_text(place: str, head: dict | Sequence, wrapper: str) -> str:
    """The wrapped head, or the list of them; MMEngine's ``_base_`` variables cannot point into a list."""
    source = f'{{{{_base_.model.{place}}}}}'
    if isinstance(head, dict):
        line = f"_delete_=True, type='{wrapper}', num_frames=num_frames, head={source}"
        return f'{place}=dict(\n    {line}\n),'
    lines = [
        f"    dict(type='{wrapper}', num_frames=num_frames, head={source}, index={index}),\n"
        for index in range(len(head))
    ]
    return f'{place}=[\n{"".join(lines)}],'


def train_config(host: Host, repeat: str, policy: str) -> str:
    """The training with a policy."""
    return (
        '# Training with the searched policy; run the search first.\n'
        f'_base_ = [{repeat!r}]\n' + in_preprocessor(host, f'policy={policy!r}')
    )


def in_preprocessor(host: Host, setting: str) -> str:
    """A setting of the data preprocessor, in its place."""
    top, _ = preprocessor_place(host)
    if top:
        return f'data_preprocessor = dict({setting})\n'
    line = f'model = dict(data_preprocessor=dict({setting}))\n'
    return line if len(line) <= LINE else f'model = dict(\n    data_preprocessor=dict(\n        {setting}\n    )\n)\n'


def search_config(host: Host, repeat: str) -> str:
    """The search of a policy: the training set in two parts, a cell, two optimisers and the search loop."""
    cfg = host.cfg
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not cfg.get(key):
            raise ConversionError(f'the config has no {key}: it cannot be trained, hence not searched')
    unit, length, warmup = search_length(cfg)
    by_epoch = unit == 'epochs'
    scheduler = 'convert_to_iter_based=True' if by_epoch else 'by_epoch=False'
    cell = "cell=dict(type='mmdas.DASCell', space='paper', share_strength=True, ranges={{_base_.half_ranges}})"
    lines = [
        '# Search of the transformations; ends with policy.json in the work directory.',
        f"_base_ = [{repeat!r}, 'mmdas::_base_/search.py']",
        f'max_{unit} = {length}',
        in_preprocessor(host, cell).rstrip('\n'),
        'train_dataloader = dict(',
        '    dataset=dict(',
        "        _delete_=True, type='mmdas.HoldoutDataset', part='weights', dataset={{_base_.train_dataloader.dataset}}",
        '    )',
        ')',
        'train_cfg = dict(',
        '    _delete_=True,',
        f"    type='mmdas.{'Epoch' if by_epoch else 'Iter'}BasedSearchLoop',",
        f'    max_{unit}=max_{unit},',
        f'    warmup_{unit}={warmup},',
        f'    val_interval=max_{unit},',
        f"    selection=dict(type='mmdas.PerturbationSelection', num_batches=8{'' if by_epoch else ', tune=20'}),",
        "    criterion='loss',",
        ')',
        'optim_wrapper = dict(',
        '    _delete_=True,',
        "    constructor='mmdas.SearchOptimWrapperConstructor',",
        f'    weights={weights_text(cfg.optim_wrapper)},',
        '    policy=dict(optimizer={{_base_.policy_optimizer}}),',
        ')',
        'param_scheduler = dict(',
        '    _delete_=True,',
        '    weights=[',
        f"        dict(type='CosineAnnealingLR', T_max=max_{unit}, end=max_{unit}, eta_min_ratio=0.01, {scheduler}),",
        '    ],',
        '    policy=[],',
        ')',
        'custom_hooks = {{_base_.search_hooks}}',
        'randomness = dict(seed=0)',
    ]
    return '\n'.join(lines) + '\n'


def search_length(cfg: Config) -> tuple[str, int, int]:
    """Unit (``'iters'`` or ``'epochs'``), length and warm-up of the search that goes with a training."""
    unit = 'epochs' if cfg.train_cfg.get('max_epochs') else 'iters'
    total = cfg.train_cfg.get(f'max_{unit}')
    if not total:
        raise ConversionError('train_cfg says neither max_iters nor max_epochs')
    length = max(round(SEARCH_PART * total), min(total, 4))
    return unit, length, round(WARMUP_PART * length)


def weights_text(wrapper: dict) -> str:
    """The host's optimiser for the weights of the search, which accumulates no gradients."""
    if wrapper.get('accumulative_counts', 1) == 1:
        return '{{_base_.optim_wrapper}}'
    kept = [key for key in wrapper if key not in ('accumulative_counts', '_scope_')]
    inner = ''.join(f'        {key}={{{{_base_.optim_wrapper.{key}}}}},\n' for key in kept)
    return f'dict(\n{inner}    )'


