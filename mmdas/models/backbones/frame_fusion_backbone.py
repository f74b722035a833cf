"""Put frame fusion into a 2-D backbone."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from mmdas.models.host_calls import keep_start, keep_training
from mmdas.ops.clip import clip_to_frames
from mmdas.registry import MODELS

from .placement import Site, find_sites, named_sites

PLACEMENTS = ('before_first_conv', 'after_last_conv')


class FusionModules(nn.ModuleDict):
    """The fusion modules of a backbone under the names of their places."""

    def init_weights(self) -> None:
        """Set all modules to their start state."""
        for module in self.values():
            module.init_weights()


class _Fuse:
    """Hook that passes the input or the output of a convolution through a fusion module.

    An object and not a closure: a deep copy of the backbone then holds a hook that calls the copied module.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module


class _FuseInput(_Fuse):
    def __call__(self, conv: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return self.module(inputs[0]), *inputs[1:]


class _FuseOutput(_Fuse):
    def __call__(self, conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return self.module(output)


class _SplitClip:
    """Hook that lays the frames of a clip side by side in the batch before the backbone sees them."""

    def __init__(self, num_frames: int, channels: int) -> None:
        self.num_frames = num_frames
        self.channels = channels

    def __call__(self, backbone: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        clip = inputs[0]
        if clip.shape[1] != self.num_frames * self.channels:
            raise ValueError(' '.join(self._explain(clip.shape[1])))
        return clip_to_frames(clip, self.num_frames), *inputs[1:]

    def _explain(self, channels: int) -> Iterator[str]:
        """What may be wrong with a clip of so many channels."""
        yield (
            f'the backbone takes clips of {self.num_frames * self.channels} channels (num_frames={self.num_frames}, '
            f'{self.channels} a frame), got one of {channels}.'
        )
        whole_frames, whole_images = channels % self.num_frames == 0, channels % self.channels == 0
        if whole_frames:
            yield (
                f'The images have {channels // self.num_frames} channels, the network takes {self.channels}: set '
                "color_type of LoadImageFromFile ('color' reads 3, 'grayscale' 1), or in_channels of the network with "
                'a mean and std of as many numbers.'
            )
        if whole_images or not whole_frames:
            yield (
                f'{"Or " if whole_frames else ""}backbone.num_frames is {self.num_frames}, '
                f'data_preprocessor.num_frames is {channels / self.channels:g}: set both from one variable, as in '
                'configs/_base_.'
            )


@MODELS.register_module(name='FrameFusionBackbone')
def build_frame_fusion_backbone(
    backbone: Mapping | nn.Module,
    num_frames: int,
    fusion: Mapping | None = None,
    stages: Sequence[int] | Sequence[str] | None = None,
    pretrained: str | None = None,
) -> nn.Module:
    """Any backbone of MMSegmentation or MMPretrain with residual blocks, made to fuse the frames of a clip.

    The result *is* the host's backbone, with hooks at its convolutions and the fusion modules beside its own under the
    name ``fusion``: all its keys, methods and options stay as they are, and a checkpoint of the plain backbone loads
    with only the fusion's parameters missing. With one frame there is nothing to fuse and the backbone computes what
    the plain one does.

    The gated fusions start as the identity: ``init_weights`` of the host leaves their start state, or what its
    pretrained checkpoint holds for them. Their norms learn their statistics under the host's ``norm_eval=True`` too,
    since they have none from a pretraining.

    Args:
        backbone: config of the host's backbone (or the module, which is changed).
        num_frames: T >= 1.
        fusion: config of the fusion module without channels and frames, such as ``dict(type='mmdas.GateShiftFuse')``;
            None processes the frames independently.
        stages: positions, among the stages with residual blocks, of those that fuse; or paths of the convolutions at
            which to fuse in a backbone without known residual blocks; None takes every residual block.
        pretrained: passed on to the host's config. MMSegmentation's segmentors set it here when theirs is set.

    Shape:
        the backbone's input becomes (B, T*C, H, W); its outputs are (B*T, C', h, w).

    Raises:
        ValueError: if the backbone has no place for fusion or no such stage; in ``forward`` if the clip has another
            number of frames, or its frames another number of channels than the network.
    """
    if num_frames < 1:
        raise ValueError(f'backbone.num_frames must be at least 1, got {num_frames}')
    if pretrained is not None:
        backbone = {**backbone, 'pretrained': pretrained}
    host = backbone if isinstance(backbone, nn.Module) else MODELS.build(backbone)
    if hasattr(host, 'num_frames'):
        raise ValueError(f'{type(host).__name__} already takes clips; wrap a backbone only once')
    host.num_frames = num_frames
    host.image_channels = channels = _image_channels(host)
    if num_frames > 1 and fusion is not None:
        _add_fusion(host, _sites(host, stages), fusion)
    host.register_forward_pre_hook(_SplitClip(num_frames, channels))
    return host


def _sites(host: nn.Module, stages: Sequence[int] | Sequence[str] | None) -> list[Site]:
    named = bool(stages) and all(isinstance(stage, str) for stage in stages)
    return named_sites(host, stages) if named else find_sites(host, stages)


def _image_channels(host: nn.Module) -> int:
    """Channels of an image, which the first convolution knows; the few hosts without one take RGB."""
    return next((module.in_channels for module in host.modules() if isinstance(module, nn.Conv2d)), 3)


def _add_fusion(host: nn.Module, sites: Sequence[Site], fusion: Mapping) -> None:
    if fusion.get('num_frames', host.num_frames) != host.num_frames:
        raise ValueError(
            f'backbone.fusion.num_frames is {fusion["num_frames"]}, backbone.num_frames is {host.num_frames}; leave '
            'it out of the fusion'
        )
    before = _placement(fusion) == 'before_first_conv'
    modules = FusionModules()
    for site in sites:
        path = site.first if before else site.last
        conv = host.get_submodule(path)
        module = _build_fusion(fusion, path, conv.in_channels if before else conv.out_channels, host.num_frames)
        modules[path.replace('.', '_')] = module
        if before:
            conv.register_forward_pre_hook(_FuseInput(module))
        else:
            conv.register_forward_hook(_FuseOutput(module))
    host.fusion = modules
    keep_start(host, modules)
    keep_training(host, modules)


def _build_fusion(fusion: Mapping, path: str, channels: int, num_frames: int) -> nn.Module:
    try:
        return MODELS.build({**fusion, 'channels': channels, 'num_frames': num_frames})
    except ValueError as error:
        raise ValueError(f'no fusion at {path} of the backbone: {error}') from error


def _placement(fusion: Mapping) -> str:
    module = fusion['type'] if isinstance(fusion['type'], type) else MODELS.get(fusion['type'])
    placement = getattr(module, 'placement', None)
    if placement not in PLACEMENTS:
        raise ValueError(
            f"fusion type {fusion['type']!r} should be a registered module such as 'mmdas.GateShift' with a placement "
            f'of {PLACEMENTS}, got {placement!r}'
        )
    return placement
