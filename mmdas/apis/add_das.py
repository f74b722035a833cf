"""Write the DAS configs of any config of MMSegmentation or MMPretrain."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.overrides import TorchFunctionMode

from mmdas.datasets import check_holdout
from mmdas.engine.runner.search_loop import policy_part
from mmdas.registry import MODELS

from .config_files import find_config, read_config, toolbox_of
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
    check_conversion(convert(cfg, 'search', options))
    texts = {}
    if base is None:
        base = Path(os.path.relpath(path, folder)).as_posix()
    if is_pure_python(path):
        texts[f'text_{path.stem}.py'] = text_twin(path.resolve().as_posix() if installed else base)
        base = f'./text_{path.stem}.py'
    made = das_configs(types_as_text(cfg), path.stem, base, options)
    write_texts({**texts, **made}, folder, force)
    return [folder / name for name in made]


def write_texts(texts: Mapping[str, str], folder: Path, force: bool) -> None:
    """Write files into a folder.

    Raises:
        FileExistsError: if one of them is there with another content, and no ``force``.
    """
    edited = [
        str(path)
        for name, text in texts.items()
        if (path := folder / name).exists() and path.read_text(encoding='utf-8') != text
    ]
    if edited and not force:
        raise FileExistsError(f'{", ".join(edited)} would be written over, but says something else; --force does it')
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding='utf-8')


def check_conversion(cfg: Config) -> None:
    """Check that the model of a DAS config builds, and where it is a search that it would start.

    Args:
        cfg: as :func:`mmdas.apis.convert` gives it.

    Raises:
        ConversionError: with the reason of the part that refuses, such as a backbone without residual blocks, or a data
            set of a type that cannot be split.
    """
    with DefaultScope.overwrite_default_scope(toolbox_of(cfg)):
        check_builds(cfg.model)
        if preprocessor_of(cfg).get('cell'):
            check_search(cfg)


def check_search(cfg: Config) -> None:
    """Check, without its data, that the loop of a search config finds both parts of the training set.

    Raises:
        ConversionError: with the reason.
    """
    try:
        policy_part(cfg.train_dataloader)
        check_holdout(cfg.train_dataloader.dataset.dataset, 'train_dataloader.dataset')
    except Exception as error:  # whatever a third party's data set raises
        raise ConversionError(f'its search could not start: {one_line(error)}') from error


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
    """Build the backbone and heads of a DAS model without memory for their weights.

    Raises:
        ConversionError: with the reason.
    """
    try:
        with WithoutWeights():
            build_parts(model)
    except Exception as error:  # whatever a third party's constructor raises
        if 'meta' not in str(error):
            raise ConversionError(one_line(error)) from error
    else:
        return
    try:  # a constructor that reads the weights it has just made
        build_parts(model)
    except Exception as error:
        raise ConversionError(one_line(error)) from error


def build_parts(model: dict) -> None:
    """Build the backbone and heads of a model."""
    for part in parts_with_frames(model).values():
        if part:
            MODELS.build(part)


def one_line(error: Exception) -> str:
    """The message of an error, or its type where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
