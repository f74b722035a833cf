"""Which modules of a backbone give feature maps, and which of them are its stages."""

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.backbones import FrameFusionBackbone
from mmdas.ops.clip import repeat_image

from .error import FeatureError

_STAGE = re.compile(r'(layer|stage|block|level|network|feature|encoder)s?_?\d*')
SIDES = (96, 224, 256, 32)  # pixels of the images that are tried; some backbones take only one of them
SHOWN = 12  # candidates that a message names

Shapes = tuple[torch.Size, ...]
Maps = dict[str, Shapes | None]


def find_maps(backbone: nn.Module) -> Maps:
    """Modules that a backbone calls, by their paths in the order in which they end.

    A copy of the backbone looks at a blank image, so that nothing of the backbone changes.

    Args:
        backbone: plain or of DAS.

    Returns:
        path -> shapes (B*T, C, h, w) of the map, or of the list of maps, that the module gives; None where it gives
        something else.

    Raises:
        FeatureError: if the backbone takes no such image.
    """
    twin = copy.deepcopy(backbone)
    twin.eval()  # which returns nothing in some backbones
    if isinstance(twin, FrameFusionBackbone) and twin.num_frames is None:
        twin.fusion.tell(2)  # any number: what it is follows from the first batch
    found: Maps = {}
    for path, module in twin.named_modules():
        if hasattr(vars(module).get('forward'), '__wrapped__'):
            del module.forward  # activation checkpointing of MMEngine: it runs the module that was copied
        if path:
            module.register_forward_hook(_recorder(found, path))
    reason = ''
    for side in SIDES:
        found.clear()
        try:
            with torch.no_grad(), _frames_of_blanks(twin):
                twin(blank_image(twin, side))
            return found
        except Exception as error:  # a backbone of anybody may fail in any way
            reason = f'{type(error).__name__}: {error}'
    raise FeatureError(
        f'{type(backbone).__name__} cannot be searched for sites of features: with blank images of several sizes '
        f'it fails ({" ".join(reason.split())[:200]})'
    )


def _frames_of_blanks(backbone: nn.Module) -> Any:
    """Equal frames for a backbone in which they part."""
    parting: Any = getattr(backbone, 'parting', None)
    frames: Any = getattr(backbone, 'num_frames', None)
    if parting is None:
        return nullcontext()
    return parting.lent(partial(repeat_image, num_frames=frames))


def _recorder(found: Maps, path: str) -> Any:
    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        found.pop(path, None)  # the last call counts
        found[path] = shapes_of(output)

    return record


def shapes_of(output: Any) -> Shapes | None:
    """Shapes of a map (B, C, h, w) of a square image, or of a list of maps; None for anything else."""
    outputs = output if isinstance(output, (list, tuple)) else [output]
    shapes = tuple(item.shape for item in outputs if isinstance(item, Tensor) and item.ndim == 4)
    are_maps = len(shapes) == len(outputs) and all(shape[2] == shape[3] for shape in shapes)  # not (B, h, w, C)
    return shapes if shapes and are_maps else None


def blank_image(backbone: nn.Module, side: int) -> Tensor:
    """Image (1, C, side, side) of zeros, or a clip (1, T*C, side, side) of it, that a backbone takes."""
    parameter = next(backbone.parameters(), torch.zeros(1))
    convs = (module for module in backbone.modules() if isinstance(module, nn.Conv2d))
    channels = next((conv.in_channels for conv in convs), 3)
    if isinstance(backbone, FrameFusionBackbone):
        channels = backbone.image_channels * (backbone.num_frames if backbone.parting is None else 1)
    return parameter.new_zeros(1, channels, side, side)


def find_stages(backbone: nn.Module, maps: Maps) -> list[str]:
    """Paths of the modules at the ends of a backbone's stages, the first stage first.

    They are its children with a name such as ``layer3``, or the items of one with a name such as ``stages``; of
    several in a row that give maps of one shape the last counts. A stage may give a list of maps, as in HRNet.

    Args:
        backbone: plain or of DAS.
        maps: of :func:`find_maps`.

    Raises:
        FeatureError: if there is none, or one gives something else than a map; it names candidates.
    """
    named = set(_stage_modules(backbone))
    called = [path for path in maps if path in named]
    others = [path for path in called if maps[path] is None]
    if others or not called:
        reason = f'{others[0]} gives no map (B, C, h, w)' if others else 'no part of it is named as a stage'
        raise FeatureError(
            f'{type(backbone).__name__} has no stages to regularise: {reason}; {_candidates(backbone, maps)}'
        )
    return [
        path
        for path, following in zip(called, [*called[1:], None], strict=True)
        if following is None or maps[path] != maps[following]
    ]


def _stage_modules(backbone: nn.Module) -> Iterator[str]:
    for name, child in backbone.named_children():
        if not _STAGE.fullmatch(name):
            continue
        is_list = isinstance(child, nn.ModuleList) or (isinstance(child, nn.Sequential) and not name[-1].isdigit())
        yield from (f'{name}.{key}' for key, _ in child.named_children()) if is_list else [name]


def named_maps(backbone: nn.Module, sites: Sequence[str], maps: Maps) -> list[str]:
    """Sites that a user names.

    Args:
        backbone: plain or of DAS.
        sites: paths within it.
        maps: of :func:`find_maps`.

    Raises:
        FeatureError: for none, one twice, or one that gives no map; it names candidates.
    """
    if not sites or len(set(sites)) < len(sites):
        raise FeatureError(
            f'sites of mmdas.FeatureHook are {list(sites)}; name some, each once; {_candidates(backbone, maps)}'
        )
    for path in sites:
        if maps.get(path) is not None:
            continue
        close = get_close_matches(path, [name for name, shape in maps.items() if shape], n=1)
        kind = 'gives no map (B, C, h, w)' if path in maps else 'is no module that it calls'
        hint = f' did you mean {close[0]}?' if close and path not in maps else ''
        raise FeatureError(f'{type(backbone).__name__}.{path} {kind};{hint} {_candidates(backbone, maps)}')
    return list(sites)


def _candidates(backbone: nn.Module, maps: Maps) -> str:
    """The part of a message that names the outermost modules of several layers that give maps."""
    modules = dict(backbone.named_modules())
    found = [path for path, shapes in maps.items() if shapes and next(modules[path].parameters(), None) is not None]
    found = [path for path in found if next(modules[path].children(), None) is not None]
    shown = sorted(found, key=lambda path: path.count('.'))[:SHOWN]
    if not shown:
        return 'none of its modules gives maps'
    return (
        f'sites=[...] of mmdas.FeatureHook may name, among others: {", ".join(path for path in maps if path in shown)}'
    )
