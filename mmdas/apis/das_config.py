"""From any config of MMSegmentation or MMPretrain to the three configs of DAS that inherit from it.

The texts name what they take from the host as ``{{_base_.model.backbone}}`` and copy nothing, so that a change of the
host's config reaches them.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmdas.models.heads.temporal_pooling import ALIGNED, POOLINGS
from mmdas.registry import type_name

from .clip_config import SEGMENTORS
from .das_settings import preprocessor_of
from .runner import toolbox_of

SELECTIONS = {'argmax': 'mmdas.ArgmaxSelection', 'perturbation': 'mmdas.PerturbationSelection'}
FUSIONS = {'tsm': 'mmdas.TemporalShift', 'gsm': 'mmdas.GateShift', 'gsf': 'mmdas.GateShiftFuse', 'none': None}
PREPROCESSORS = {
    'SegDataPreProcessor': 'mmdas.DASSegDataPreProcessor',
    'ClsDataPreprocessor': 'mmdas.DASClsDataPreprocessor',
}
# A search takes this part of the host's training, and the weights alone this part of the search.
SEARCH_PART, WARMUP_PART = 0.1, 0.25
# A search of fewer iterations takes larger steps of the policy.
QUICK = 2000
HEADS = {'mmseg': ('decode_head', 'auxiliary_head'), 'mmpretrain': ('head',)}


class ConversionError(ValueError):
    """A config that cannot become one of DAS; the message says which part is in the way."""


@dataclass(frozen=True)
class Host:
    """A plain config and how other configs refer to it.

    Args:
        cfg: the loaded config.
        base: what stands in ``_base_``: ``'mmseg::folder/name.py'`` or a path relative to the new configs.
        name: of the file, without ``.py``.
        pure_python: whether it is of MMEngine's lazy-import style; ``cfg`` then has its types as text.
    """

    cfg: Config
    base: str
    name: str
    pure_python: bool = False

    @property
    def toolbox(self) -> str:
        """``'mmseg'`` or ``'mmpretrain'``, where the config is one of these."""
        return toolbox_of(self.cfg) or 'none'


@dataclass(frozen=True)
class DASOptions:
    """What a user chooses.

    Args:
        frames: T >= 2. Default: 4.
        fusion: ``'tsm'``, ``'gsm'``, ``'gsf'`` or ``'none'``. Default: ``'gsf'``.
        policy: file that the train config names; None takes what the search config leaves in its work directory.
        pooling: mode of :class:`mmdas.models.TemporalPooling` that all heads get. Default: ``'mean'``.
        selection: how the search decides: ``'argmax'`` of the mixtures, or by ``'perturbation'`` as in the paper, which
            takes longer and scored no better (``benchmarks/accuracy.md``). Default: ``'argmax'``.

    Raises:
        ValueError: for fewer than two frames, or an unknown fusion, pooling or selection.
    """

    frames: int = 4
    fusion: str = 'gsf'
    policy: str | None = None
    pooling: str = 'mean'
    selection: str = 'argmax'

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f'frames must be at least 2, got {self.frames}: one frame is the plain model')
        if self.fusion not in FUSIONS:
            raise ValueError(f'fusion must be one of {sorted(FUSIONS)}, got {self.fusion!r}')
        if self.pooling not in POOLINGS:
            raise ValueError(f'pooling must be one of {sorted(POOLINGS)}, got {self.pooling!r}')
        if self.selection not in SELECTIONS:
            raise ValueError(f'selection must be one of {sorted(SELECTIONS)}, got {self.selection!r}')


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
    if options.pooling in ALIGNED and host.toolbox != 'mmseg':
        raise ConversionError(f'pooling={options.pooling!r} aligns maps of logits, which only segmentation has')
    suffix = f'{options.frames}f-{options.fusion}_{host.name}'
    repeat, search, train = (f'{method}-{suffix}.py' for method in ('repeat', 'search', 'das'))
    policy = options.policy or f'work_dirs/{Path(search).stem}/policy.json'
    return {
        repeat: own_run(host, repeat, repeat_config(host, options), first=True),
        search: own_run(host, search, search_config(host, f'./{repeat}', options)),
        train: own_run(host, train, train_config(host, f'./{repeat}', policy)),
    }


def own_run(host: Host, name: str, text: str, first: bool = False) -> str:
    """The text of a config with what must not be that of the host's own run, as far as the host says it.

    The work directory, the name of the experiment, and the checkpoint of the host's run that it resumes or tests, as in
    a config that a run has written. Weights from elsewhere that the host starts from stay.

    Args:
        host: the plain config.
        name: file name of the config.
        text: of the config.
        first: whether the others inherit from it.
    """
    cfg, stem = host.cfg, Path(name).stem
    lines = []
    if cfg.get('work_dir'):
        lines.append(f'work_dir = {f"work_dirs/{stem}"!r}')
    if cfg.get('experiment_name'):
        lines.append(f'experiment_name = {stem!r}')
    if first and (cfg.get('resume') or starts_from_own_run(cfg)):
        lines += ['load_from = None', 'resume = False']
    return '\n'.join([text.rstrip('\n'), *lines]) + '\n'


def starts_from_own_run(cfg: Config) -> bool:
    """Whether ``load_from`` is a checkpoint in the work directory of the same config."""
    if not cfg.get('load_from') or not cfg.get('work_dir') or '://' in cfg.load_from:
        return False
    return Path(cfg.load_from).resolve().is_relative_to(Path(cfg.work_dir).resolve())


def repeat_config(host: Host, options: DASOptions) -> str:
    """The host's model on T equal frames: what the other two inherit from."""
    model = host.cfg.get('model') or {}
    check_model(host.toolbox, model)
    top, preprocessor = preprocessor_at_top(host), preprocessor_of(host.cfg)
    fusion = FUSIONS[options.fusion]
    lines = [
        f'# {options.frames} equal copies of the image: what frame fusion brings without any transformation.',
        f'_base_ = [{host.base!r}]',
        f'num_frames = {options.frames}',
    ]
    segmentor = SEGMENTORS.get(type_name(model))
    if host.cfg.get('default_scope') is None:
        lines.append(f'default_scope = {host.toolbox!r}')
    preprocessor_text = f"dict(type='{preprocessor_kind(host.toolbox, preprocessor)}', num_frames=num_frames)"
    parts = [] if segmentor is None else [f'type={segmentor!r},']
    parts += [] if top else [f'data_preprocessor={preprocessor_text},']
    backbone = {
        '_delete_': 'True',
        'type': "'mmdas.FrameFusionBackbone'",
        'num_frames': 'num_frames',
        'fusion': 'None' if fusion is None else f"dict(type='{fusion}')",
        'backbone': '{{_base_.model.backbone}}',
    }
    parts.append(f'backbone={dict_text(backbone)},')
    for place in HEADS[host.toolbox]:
        if model.get(place) is not None:
            parts.append(f'{place}={head_text(place, model[place], host.toolbox, options.pooling)},')
    if top:
        lines.append(f'data_preprocessor = {preprocessor_text}')
    return '\n'.join([*lines, 'model = dict(', *map(indent, parts), ')']) + '\n'


def dict_text(items: dict[str, str]) -> str:
    """``dict(...)`` with an item a line; the values are Python already."""
    lines = ''.join(f'{indent(f"{key}={value},")}\n' for key, value in items.items())
    return f'dict(\n{lines})'


def list_text(items: Sequence[str]) -> str:
    """A list with an item a line."""
    lines = ''.join(f'{indent(item)},\n' for item in items)
    return f'[\n{lines}]'


def indent(text: str) -> str:
    """The text, one level deeper."""
    return textwrap.indent(text, '    ')


def check_model(toolbox: str, model: dict) -> None:
    """Refuse models whose parts do not go from an image to one prediction.

    Raises:
        ConversionError: naming the model.
    """
    known = {'mmseg': ('EncoderDecoder', 'CascadeEncoderDecoder'), 'mmpretrain': ('ImageClassifier',)}
    if toolbox not in known:
        raise ConversionError(f'default_scope is {toolbox!r}; DAS extends configs of {" and ".join(known)}')
    kind = type_name(model)
    if kind not in known[toolbox]:
        raise ConversionError(
            f'model.type is {kind or None}, no {" or ".join(known[toolbox])}: it has no prediction that could be '
            'pooled over the frames'
        )
    for place in ('backbone', 'decode_head' if toolbox == 'mmseg' else 'head'):
        if not model.get(place):
            raise ConversionError(f'the model has no {place}')


def preprocessor_at_top(host: Host) -> bool:
    """Whether the data preprocessor that counts stands at the top of the config, and not in the model."""
    inner = (host.cfg.get('model') or {}).get('data_preprocessor')
    return inner is None and host.cfg.get('data_preprocessor') is not None


def preprocessor_kind(toolbox: str, preprocessor: dict) -> str:
    """The preprocessor of DAS that takes the place of the host's.

    Raises:
        ConversionError: if the host's is of another type than its toolbox has.
    """
    default = 'SegDataPreProcessor' if toolbox == 'mmseg' else 'ClsDataPreprocessor'
    kind = type_name(preprocessor) or default
    if kind != default:
        raise ConversionError(f'data_preprocessor.type is {kind}; DAS has one in place of {default}')
    return PREPROCESSORS[kind]


def head_text(place: str, head: dict | Sequence, toolbox: str, pooling: str) -> str:
    """The wrapped head, or the list of them; MMEngine's ``_base_`` variables cannot point into a list."""
    kind = 'TemporalPoolingHead' if toolbox == 'mmseg' else 'TemporalPoolingClsHead'
    items = {'type': f"'mmdas.{kind}'", 'num_frames': 'num_frames', 'head': f'{{{{_base_.model.{place}}}}}'}
    if pooling != 'mean':
        items['pooling'] = repr(pooling)
    if isinstance(head, dict):
        return dict_text({'_delete_': 'True', **items})
    return list_text([dict_text({**items, 'index': str(index)}) for index in range(len(head))])


def train_config(host: Host, repeat: str, policy: str) -> str:
    """The training with a policy."""
    return '\n'.join(
        [
            '# Training with the searched policy; run the search first.',
            f'_base_ = [{repeat!r}]',
            in_preprocessor(host, {'policy': repr(policy)}),
        ]
    )


def in_preprocessor(host: Host, items: dict[str, str]) -> str:
    """Settings of the data preprocessor, in its place."""
    text = dict_text(items)
    if preprocessor_at_top(host):
        return f'data_preprocessor = {text}\n'
    return f'model = {dict_text({"data_preprocessor": text})}\n'


def search_config(host: Host, repeat: str, options: DASOptions) -> str:
    """The search of a policy: the training set in two parts, a cell, two optimisers and the search loop."""
    cfg = host.cfg
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not cfg.get(key):
            raise ConversionError(f'the config has no {key}: it cannot be trained, hence not searched')
    if not cfg.optim_wrapper.get('optimizer'):
        raise ConversionError('optim_wrapper has no optimizer: a search steps all weights with one')
    if cfg.get('runner_type', 'Runner') != 'Runner':
        raise ConversionError(f'runner_type is {cfg.runner_type}; a search runs with the Runner of MMEngine alone')
    unit, length, warmup = search_length(cfg)
    by_epoch = unit == 'epochs'
    cell = {
        'type': "'mmdas.DASCell'",
        'space': "'paper'",
        'share_strength': 'True',
        'ranges': '{{_base_.half_ranges}}',
    }
    holdout = {
        '_delete_': 'True',
        'type': "'mmdas.HoldoutDataset'",
        'part': "'weights'",
        'dataset': '{{_base_.train_dataloader.dataset}}',
    }
    loop = {
        '_delete_': 'True',
        'type': f"'mmdas.{'Epoch' if by_epoch else 'Iter'}BasedSearchLoop'",
        f'max_{unit}': f'max_{unit}',
        f'warmup_{unit}': str(warmup),
        'val_interval': f'10 * max_{unit}',  # once, at the end of all phases
        'selection': selection_text(options, by_epoch),
        'criterion': "'loss'",
    }
    wrapper = {
        '_delete_': 'True',
        'constructor': "'mmdas.SearchOptimWrapperConstructor'",
        'weights': weights_text(cfg.optim_wrapper),
        'policy': policy_text(cfg.optim_wrapper, quick=unit == 'iters' and length < QUICK),
    }
    cosine = {
        'type': "'CosineAnnealingLR'",
        'T_max': f'max_{unit}',
        'end': f'max_{unit}',
        'eta_min_ratio': '0.1',  # the rate of the tuning between the decisions
        **({'convert_to_iter_based': 'True'} if by_epoch else {'by_epoch': 'False'}),
    }
    scheduler = {'weights': list_text([dict_text(cosine)]), 'policy': '[]'}
    if 'param_scheduler' in cfg:  # where there is nothing to delete, MMEngine would leave the word behind
        scheduler = {'_delete_': 'True', **scheduler}
    return '\n'.join(
        [
            '# Search of the transformations; ends with policy.json in the work directory.',
            f"_base_ = [\n    {repeat!r},\n    'mmdas::_base_/search.py',\n]",
            f'max_{unit} = {length}',
            in_preprocessor(host, {'cell': dict_text(cell)}).rstrip('\n'),
            f'train_dataloader = {dict_text({"dataset": dict_text(holdout)})}',
            f'train_cfg = {dict_text(loop)}',
            f'optim_wrapper = {dict_text(wrapper)}',
            f'param_scheduler = {dict_text(scheduler)}',
            'custom_hooks = {{_base_.search_hooks}}',
            'randomness = dict(seed=0)\n',
        ]
    )


def selection_text(options: DASOptions, by_epoch: bool) -> str:
    """The selection, with the numbers that suit a search of the host's unit, and a chain where frames are aligned."""
    numbers = ''
    if options.selection == 'perturbation':
        numbers = ', num_batches=8' if by_epoch else ', num_batches=8, tune=20'
    if options.pooling in ALIGNED:
        numbers += ', edges_per_node=1'
    return f"dict(type='{SELECTIONS[options.selection]}'{numbers})"


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
    return dict_text({key: f'{{{{_base_.optim_wrapper.{key}}}}}' for key in kept})


def policy_text(wrapper: dict, quick: bool) -> str:
    """The optimiser of the policy, in mixed precision where the host's is."""
    optimizer = f'{{{{_base_.{"quick_" if quick else ""}policy_optimizer}}}}'
    if type_name(wrapper) != 'AmpOptimWrapper':
        return f'dict(optimizer={optimizer})'
    kept = {key: f'{{{{_base_.optim_wrapper.{key}}}}}' for key in ('loss_scale', 'dtype') if key in wrapper}
    return dict_text({'type': "'AmpOptimWrapper'", 'optimizer': optimizer, **kept})
