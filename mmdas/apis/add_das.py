"""Write the DAS configs of any config of MMSegmentation or MMPretrain."""

import glob
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmengine.utils import get_installed_path
from torch.overrides import TorchFunctionMode

from mmdas.models import build_frame_fusion_backbone, build_temporal_pooling_cls_head, build_temporal_pooling_head
from mmdas.registry import MODELS

from .das_config import FUSIONS, HEADS, ConversionError, DASOptions, Host, das_configs
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
        The paths of the repeat, search and train configs. Files of these names are written anew.

    Raises:
        FileNotFoundError: if there is no such config.
        ConversionError: if a part of the model cannot take frames; nothing is written then.
    """
    path, installed = find_config(config)
    folder = Path(out_dir) if out_dir is not None else Path('configs', f'das_{path.stem}')
    base = installed or Path(os.path.relpath(path, folder)).as_posix()
    host = Host(read_config(path), base, path.stem)
    options = options or DASOptions()
    texts = das_configs(host, options)
    check_builds(host, options.fusion)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding='utf-8')
    return [folder / name for name in texts]


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
    build_head = build_temporal_pooling_head if host.toolbox == 'mmseg' else build_temporal_pooling_cls_head
    backbone = MODELS.build(model.backbone)
    build_frame_fusion_backbone(backbone, 2, FUSIONS[fusion] and {'type': FUSIONS[fusion]})
    for place in HEADS[host.toolbox]:
        head = model.get(place)
        if head is not None:
            for index in range(len(head)) if isinstance(head, (list, tuple)) else [None]:
                build_head(head, num_frames=2, index=index)
