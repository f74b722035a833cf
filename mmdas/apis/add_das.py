"""Write the DAS configs of any config of MMSegmentation or MMPretrain."""

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

from .das_config import FUSIONS, ConversionError, DASOptions, Host, das_configs
from .runner import load_config

TOOLBOXES = ('mmseg', 'mmpretrain')


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


def check_builds(host: Host, fusion: str) -> None:
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
            build_frame_fusion_backbone(backbone, 2, FUSIONS[fusion] and {'type': FUSIONS[fusion]})
            for head in heads:
                for index in range(len(head)) if isinstance(head, (list, tuple)) else [None]:
                    build_head(head, num_frames=2, index=index)
        except (
            ValueError,
            TypeError,
            KeyError,
            NotImplementedError,
            RuntimeError,
            ImportError,
            AssertionError,
        ) as error:
            raise ConversionError(' '.join(str(error).split())) from error
