"""Write the DAS configs of any config of MMSegmentation or MMPretrain."""

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import LOOPS, OPTIM_WRAPPERS, OPTIMIZERS, DefaultScope, Registry
from torch.overrides import TorchFunctionMode

from mmdas.datasets import check_holdout
from mmdas.engine.runner.search_loop import policy_part
from mmdas.noise import import_toolbox, silence_warnings
from mmdas.registry import MODELS, type_name

from .clip_config import set_channel_order
from .config_files import find_config, host_of, read_config, toolbox_of
from .das_config import convert
from .das_options import ConversionError, DASOptions
from .das_settings import parts_with_frames, preprocessor_of
from .das_text import das_configs
from .pure_python import is_pure_python, text_twin, types_as_text


def add_das(
    config: str | Path, out_dir: str | Path | None = None, options: DASOptions | None = None, force: bool = False
) -> list[Path]:
    """Write the DAS configs of a plain config.

    Args:
        config: a file, or the name of an installed config: ``'mmseg::pspnet/NAME.py'``, or ``'NAME'`` alone.
        out_dir: folder of the new configs. Default: ``configs/das_<name>`` in the working directory.
        options: what the user chooses. Default: 4 frames, GSF, the policy of the search.
        force: whether to write over files that say something else. Default: False.

    Returns:
        The paths of the repeat, search and das configs. For a host of pure Python, ``text_<name>.py`` beside them is
        what they inherit from.

    Raises:
        FileNotFoundError: if there is no such config.
        FileExistsError: if there is a file of such a name with another content, and no ``force``.
        ConversionError: if a part of the model cannot take frames, or the search could not start. Whatever the error,
            nothing is written.
    """
    path, installed = find_config(config)
    folder = Path(out_dir) if out_dir is not None else Path('configs', f'das_{path.stem}')
    options, cfg, base = options or DASOptions(), read_config(path), installed
    made = convert(cfg, 'search', options)
    if type_name(cfg.train_cfg):
        check_registered(types_as_text(cfg).train_cfg, 'train_cfg', LOOPS)
    check_conversion(made)
    texts = {}
    if base is None:
        base = Path(os.path.relpath(path, folder)).as_posix()
    if is_pure_python(path):
        texts[f'text_{path.stem}.py'] = text_twin(path.resolve().as_posix() if installed else base)
        base = f'./text_{path.stem}.py'
    configs = das_configs(types_as_text(cfg), path.stem, base, options)
    write_texts({**texts, **configs}, folder, force)
    return [folder / name for name in configs]


def write_texts(texts: Mapping[str, str], folder: Path, force: bool) -> None:
    """Write files into a folder.

    Raises:
        FileExistsError: if one of them is there with another content, and no ``force``.
        OSError: if the folder or a file cannot be written; then none of them is new.
    """
    paths = [folder / name for name in texts]
    edited = [
        str(path)
        for path, text in zip(paths, texts.values(), strict=True)
        if path.exists() and (path.is_dir() or path.read_text(encoding='utf-8', errors='replace') != text)
    ]
    if edited and not force:
        raise FileExistsError(f'{", ".join(edited)} would be written over, but says something else; --force does it')
    new = [path for path in [*paths, folder, *folder.parents] if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding='utf-8')
    except OSError:
        remove(new)
        raise


def remove(paths: Iterable[Path]) -> None:
    """Remove files and empty folders, as far as they are there and can be removed."""
    for path in paths:
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def check_conversion(cfg: Config) -> None:
    """Check that the model of a DAS config builds, and where it is a search that it would start.

    Args:
        cfg: as :func:`mmdas.apis.convert` gives it.

    Raises:
        ConversionError: with the reason of the part that refuses, such as a backbone without residual blocks, or a data
            set of a type that cannot be split.
    """
    silence_warnings()
    import_toolbox(host_of(cfg).scope)
    trial = copy.deepcopy(cfg)
    set_channel_order(trial, preprocessor_of(trial), host_of(trial))
    with DefaultScope.overwrite_default_scope(toolbox_of(cfg)):
        check_builds({'data_preprocessor': preprocessor_of(trial), **trial.model})
        if 'policy' in (cfg.get('optim_wrapper') or {}):
            check_search(cfg)


def check_search(cfg: Config) -> None:
    """Check, without its data, that the loop of a search config finds both parts of the training set.

    Raises:
        ConversionError: with the reason.
    """
    check_registered(cfg.optim_wrapper.weights, 'optim_wrapper', OPTIM_WRAPPERS)
    check_registered(cfg.optim_wrapper.weights.optimizer, 'optim_wrapper.optimizer', OPTIMIZERS)
    try:
        policy_part(cfg.train_dataloader)
        check_holdout(cfg.train_dataloader.dataset.dataset, 'train_dataloader.dataset')
    except Exception as error:  # whatever a third party's data set raises
        raise ConversionError(f'its search could not start: {one_line(error)}') from error


def check_registered(part: Mapping, place: str, registry: Registry) -> None:
    """Check that the type of a part is known.

    Args:
        part: its config; one without a type is of the default type, except where the registry has none.
        place: where it stands, for the message.
        registry: of the types.

    Raises:
        ConversionError: naming the place and the type.
    """
    kind = part.get('type')
    if kind is None and registry is OPTIM_WRAPPERS:
        return
    with registry.switch_scope_and_registry(None) as own:
        known = isinstance(kind, str) and own.get(kind) is not None
    if not known:
        raise ConversionError(f'{place}.type is {kind!r}, which is not registered')


class WithoutWeights(TorchFunctionMode):
    """Let modules be built without memory for their weights.

    Not ``torch.device('meta')``: some backbones compute their drop rates with tensors and need the values.
    """

    def __torch_function__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs['device'] = 'meta'
        return func(*args, **kwargs)


def check_builds(model: dict) -> None:
    """Build the parts of a DAS model without memory for their weights.

    Raises:
        ConversionError: with the reason.
    """
    try:
        with WithoutWeights():
            build_parts(model)
    except ConversionError as error:
        if 'meta' not in str(error):
            raise
    else:
        return
    build_parts(model)  # a constructor reads the weights that it has just made


def build_parts(model: dict) -> None:
    """Build the data preprocessor, backbone and heads of a model.

    Raises:
        ConversionError: naming the part that cannot be built.
    """
    for place, part in {'data_preprocessor': model.get('data_preprocessor'), **parts_with_frames(model)}.items():
        try:
            if part:
                MODELS.build(part)
        except Exception as error:  # whatever a third party's constructor raises
            raise ConversionError(f'{place}: {one_line(error)}') from error


def one_line(error: Exception) -> str:
    """The message of an error, or its type where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
