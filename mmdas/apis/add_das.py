"""Write the DAS configs of any config of MMSegmentation or MMPretrain."""

import glob
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmengine.utils import get_installed_path
from torch.overrides import TorchFunctionMode

from mmdas import models
from mmdas.datasets import check_holdout
from mmdas.engine.runner.search_loop import policy_part
from mmdas.registry import MODELS

from .das_config import FUSIONS, HEADS, ConversionError, DASOptions, Host, das_configs
from .pure_python import is_pure_python, text_twin, types_as_text
from .runner import read_config

TOOLBOXES = ('mmseg', 'mmpretrain')
PACKAGES = (*TOOLBOXES, 'mmdas')  # whose configs are found by their names


def add_das(config: str | Path, out_dir: str | Path | None = None, options: DASOptions | None = None) -> list[Path]:
    """Write the DAS configs of a plain config.

    Args:
        config: a file, or the name of an installed config: ``'mmseg::pspnet/NAME.py'``, or ``'NAME'`` alone.
        out_dir: folder of the new configs. Default: ``configs/das_<name>`` in the working directory.
        options: what the user chooses. Default: 4 frames, GSF, the policy of the search.

    Returns:
        The paths of the repeat, search and train configs. Files of these names are written anew. For a host of pure
        Python, ``text_<name>.py`` beside them is what they inherit from.

    Raises:
        FileNotFoundError: if there is no such config.
        ConversionError: if a part of the model cannot take frames, or the search could not start; nothing is written
            then.
    """
    path, installed = find_config(config)
    folder = Path(out_dir) if out_dir is not None else Path('configs', f'das_{path.stem}')
    options = options or DASOptions()
    host = read_host(path, installed or path.resolve().as_posix())
    with TemporaryDirectory() as trial:
        paths = write_configs(host, options, Path(trial))
        check_builds(host, options.fusion)
        check_search(host, paths[1])
    if not installed:
        host = replace(host, base=Path(os.path.relpath(path, folder)).as_posix())
    return write_configs(host, options, folder)


def read_host(path: Path, base: str) -> Host:
    """The host at a path, with its types as text."""
    cfg, pure = read_config(path), is_pure_python(path)
    return Host(types_as_text(cfg) if pure else cfg, base, path.stem, pure)


def write_configs(host: Host, options: DASOptions, folder: Path) -> list[Path]:
    """Write the configs of a host, and its twin if it is of pure Python; returns repeat, search and train."""
    if host.pure_python:
        twin, reference = f'text_{host.name}.py', host.base
        host = replace(host, base=f'./{twin}')
    texts = das_configs(host, options)
    folder.mkdir(parents=True, exist_ok=True)
    if host.pure_python:
        (folder / twin).write_text(text_twin(reference), encoding='utf-8')
    for name, text in texts.items():
        (folder / name).write_text(text, encoding='utf-8')
    return [folder / name for name in texts]


def check_search(host: Host, path: Path) -> None:
    """Read a search config and check, without its data, that its loop finds both parts of the training set.

    Raises:
        ConversionError: with the reason, such as a data set of a type that cannot be split.
    """
    try:
        loader = read_config(path).train_dataloader
        policy_part(loader)
        with DefaultScope.overwrite_default_scope(host.toolbox):
            check_holdout(loader.dataset.dataset, 'train_dataloader.dataset')
    except Exception as error:  # whatever reading a chain of configs raises
        raise ConversionError(f'its search could not start: {" ".join(str(error).split())}') from error


def find_config(config: str | Path) -> tuple[Path, str | None]:
    """Path of a config and, where it is an installed one, what stands for it in ``_base_``.

    Raises:
        FileNotFoundError: if there is no such file and no installed config of the name, or several.
    """
    if Path(config).is_file():
        return Path(config), None
    package, _, name = str(config).rpartition('::')
    name = name.removesuffix('.py')
    found = {
        f'{scope}::{path.relative_to(folder).as_posix()}': path
        for scope in PACKAGES
        if package in ('', scope)
        for folder in [Path(get_installed_path(scope), '.mim', 'configs')]
        for path in sorted(folder.rglob(f'{glob.escape(Path(name).name)}.py'))
        if f'/{path.relative_to(folder).with_suffix("").as_posix()}'.endswith(f'/{name}')
    }
    if len(found) == 1:
        reference, path = found.popitem()
        return path, reference
    several = f'more than one installed config of that name: {", ".join(found)}'
    raise FileNotFoundError(
        f'there is no file {config} and {several if found else "no installed config of that name"}; '
        f'give a path, or PACKAGE::FOLDER/NAME.py with a package of {PACKAGES}'
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


def check_builds(host: Host, fusion: str) -> None:
    """Build the wrapped backbone and heads without memory for their weights.

    Raises:
        ConversionError: with the reason of the part that refuses, such as a backbone without residual blocks.
    """
    with DefaultScope.overwrite_default_scope(host.toolbox):
        try:
            with WithoutWeights():
                build_parts(host, fusion)
        except Exception as error:  # whatever a third party's constructor raises
            if 'meta' not in str(error):
                raise ConversionError(' '.join(str(error).split()) or type(error).__name__) from error
        else:
            return
        try:  # a constructor that reads the weights it has just made
            build_parts(host, fusion)
        except Exception as error:
            raise ConversionError(' '.join(str(error).split()) or type(error).__name__) from error


def build_parts(host: Host, fusion: str) -> None:
    """Build the wrapped backbone and heads of a host."""
    model = host.cfg.model
    build_head = models.TemporalPoolingHead if host.toolbox == 'mmseg' else models.TemporalPoolingClsHead
    backbone = MODELS.build(model.backbone)
    models.FrameFusionBackbone(backbone, 2, FUSIONS[fusion] and {'type': FUSIONS[fusion]})
    for place in HEADS[host.toolbox]:
        head = model.get(place)
        if head is not None:
            for index in range(len(head)) if isinstance(head, (list, tuple)) else [None]:
                build_head(head, num_frames=2, index=index)
