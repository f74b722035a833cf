"""Let a backbone pass its feature maps through a regulariser, without a part or a key more."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from mmdas.models.backbones import FrameFusionBackbone

from .base import FeatureRegularizer
from .error import FeatureError
from .sites import find_maps, find_stages, named_maps


class FeatureAt:
    """Forward hook of a module within a backbone that changes its maps while the backbone is in training mode.

    The mode of the backbone counts and not that of the module, which a frozen stage keeps in evaluation.

    An object and not a closure: a deep copy of the backbone, as an average of weights has it, then calls its own.

    Args:
        feature: :class:`FeatureRegularizer`.
        backbone: that holds the module.
    """

    def __init__(self, feature: nn.Module, backbone: nn.Module) -> None:
        self.feature, self.backbone = feature, backbone

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        return self._changed(output, frames_of(self.backbone)) if self.backbone.training else output

    def _changed(self, output: Any, num_frames: int) -> Any:
        if isinstance(output, (list, tuple)):  # of the branches of HRNet
            return type(output)(self._changed(item, num_frames) for item in output)
        return self.feature(output, num_frames)


def frames_of(backbone: nn.Module) -> int:
    """Frames an image that a backbone has side by side in its batch, at what it runs now."""
    if not isinstance(backbone, FrameFusionBackbone):
        return 1
    parting: Any = backbone.parting
    return (backbone.num_frames if parting is None else parting.frames) or 1


class Placed:
    """A regulariser at its sites, to be taken away again.

    Args:
        handles: of the hooks.
    """

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = list(handles)

    def remove(self) -> None:
        """Make the backbone what it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def place(feature: nn.Module, backbone: nn.Module, sites: Sequence[str]) -> Placed:
    """Let the outputs of some modules pass a regulariser from now on, in training mode.

    Args:
        feature: :class:`FeatureRegularizer`.
        backbone: plain or of DAS; its parts, keys and results in evaluation stay as they are.
        sites: paths of the modules within the backbone, such as ``'layer3'``.
    """
    hook = FeatureAt(feature, backbone)
    return Placed([backbone.get_submodule(path).register_forward_hook(hook) for path in sites])


def choose_sites(
    backbone: nn.Module, feature: FeatureRegularizer, sites: Sequence[str] | Sequence[int] | None = None
) -> list[str]:
    """Paths of the modules whose outputs a regulariser takes.

    Args:
        backbone: plain or of DAS.
        feature: the regulariser.
        sites: paths, or positions among the stages. Default: the stages of the regulariser that the backbone has.

    Raises:
        FeatureError: for sites that the backbone does not have.
    """
    maps = find_maps(backbone)
    if sites is not None and not all(isinstance(site, int) for site in sites):
        return named_maps(backbone, [str(site) for site in sites], maps)
    stages = find_stages(backbone, maps)
    count = len(stages)
    if sites is None:
        sites = [stage for stage in feature.stages if -count <= stage < count]
    wrong = [site for site in sites if not -count <= int(site) < count]
    if wrong:
        raise FeatureError(
            f'sites of mmdas.FeatureHook are {list(sites)}, but {type(backbone).__name__} has {count} stages: '
            f'{", ".join(stages)}'
        )
    return named_maps(backbone, [stages[int(site)] for site in sites], maps)
