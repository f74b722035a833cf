"""Put frame fusion into a 2-D backbone."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from mmdas.models.data_preprocessors.content_mask import check_channels
from mmdas.models.frame_count import FrameCount
from mmdas.models.host_extension import HostExtension, build_host
from mmdas.models.settings import KEY
from mmdas.ops.clip import clip_to_frames
from mmdas.registry import MODELS

from .fusion_hooks import fuse_maps, fuse_tokens, read_embedding
from .parting import Parting, PartingError, find_place, sites_behind
from .parting_trial import try_parting
from .placement import AnySite, find_sites, named_sites
from .token_grid import TokenGrid
from .token_placement import TokenSite

COLOURS = (
    "set color_type of LoadImageFromFile ('color' reads 3 channels, 'grayscale' 1), or in_channels of the network with "
    'a mean and std of as many numbers.'
)
PLACEMENTS = ('before_first_conv', 'after_last_conv')


class FusionModules(FrameCount, nn.ModuleDict):
    """The fusion modules of a backbone under the names of their places.

    It is empty where nothing is fused, so that a checkpoint tells how its frames were fused.

    Args:
        num_frames: T >= 1; None for that of the clips.
        fusion: type and all options of the modules; None for no fusion.
        accept_difference: whether weights of another fusion may be loaded.
        any_frames: whether clips of fewer frames may come.
        part_after: path of the module behind which frames part; None for the entrance of the backbone.
        defaults: of the options of the fusion, for records of releases that did not have an option.
    """

    place = 'backbone'

    def __init__(
        self,
        num_frames: int | None,
        fusion: dict[str, Any] | None,
        accept_difference: bool,
        any_frames: bool = False,
        part_after: str | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(num_frames, any_frames)
        self.options, self.part_after, self.defaults = fusion, part_after, dict(defaults or {})
        self.accept_difference = accept_difference

    def settings(self) -> dict[str, Any]:
        """Frames, the fusion with all its options, the convolutions where it is, and where frames part."""
        own = {'fusion': self.options, 'fused_convolutions': list(self), 'part_after': self.part_after}
        return {**super().settings(), **own}

    def canonical(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings with what earlier releases did not write: clips were of images, and new options have defaults."""
        settings = {'part_after': None, **settings}
        fusion, own = settings.get('fusion'), self.options
        if isinstance(fusion, dict) and own is not None and fusion.get('type') == own['type']:
            settings['fusion'] = {**self.defaults, **fusion}
        return settings

    def check_fits(self, num_frames: int) -> None:
        """Check that images of so many frames may come; an open T follows them.

        Raises:
            ValueError: naming both numbers.
        """
        if not self.fits(num_frames):
            raise ValueError(
                f'backbone.num_frames is {self.num_frames}, data_preprocessor.num_frames is {num_frames}: leave it out '
                'of the backbone, or set both from one variable.'
            )

    def set_frames(self, num_frames: int) -> None:
        """Set T of all modules."""
        super().set_frames(num_frames)
        self._tell_modules(num_frames)

    def follow(self, num_frames: int) -> None:
        """Take a batch of fewer frames than T."""
        super().follow(num_frames)
        self._tell_modules(num_frames)

    def _tell_modules(self, num_frames: int) -> None:
        for module in self.children():
            module.num_frames = num_frames  # type: ignore[assignment]  # an attribute of FrameFusion

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *others: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *others)
        if prefix + KEY not in state_dict and any(key.startswith(prefix) for key in state_dict):
            print_log(
                'the checkpoint has fusion weights but no record of its policy, fusion and pooling, as those of '
                'earlier releases of mmdas: make sure that the config is the one that it was trained with',
                logger='current',
                level=logging.WARNING,
            )

    def init_weights(self) -> None:
        """Set all modules to their start state."""
        for module in self.children():
            module.init_weights()  # type: ignore[operator]  # a method of FrameFusion


@MODELS.register_module()
class FrameFusionBackbone(HostExtension):
    """Any backbone of MMSegmentation or MMPretrain made to fuse the frames of a clip in its blocks.

    The instance *is* the host's backbone, of a class made at run time, see :class:`HostExtension`: a checkpoint of the
    plain backbone loads with only the fusion's parameters missing. With one frame there is nothing to fuse and the
    backbone computes what the plain one does.

    The fusion modules lie beside the host's own under the name ``fusion``. Convolutions deep within the host call them:
    by forward pre-hooks on the inputs of the first convolutions of the residual blocks, or by forward hooks on the
    outputs of the last ones. The printed backbone says which.

    In a transformer the attention of each block calls them on its input, (B*T, L, C): on the residual path, as in TSM.
    TSM moves the channels of all tokens, that of the class included, which TokShift (Zhang et al., ACM MM 2021) moves
    alone. GSM and GSF see the tokens as maps; those of no place pass as they are.

    The gated fusions start as the identity: ``init_weights`` of the host leaves their start state, or what its
    pretrained checkpoint holds for them. Their norms learn their statistics under the host's ``norm_eval=True`` too,
    since they have none from a pretraining.

    Args:
        backbone: config of the host's backbone (or the module, which is changed).
        num_frames: T >= 1. Default: what a segmentor of DAS tells, or the channels of a clip over those of an image.
        fusion: config of the fusion module without channels and frames, such as ``dict(type='mmdas.GateShiftFuse')``;
            None processes the frames independently.
        stages: positions, among the stages with blocks, of those that fuse (the layers, in a ViT); or paths of the
            convolutions and attentions at which to fuse; None takes every block.
        pretrained: passed on to the host's config. MMSegmentation's segmentors set it here when theirs is set.
        accept_difference: whether weights may be loaded that were trained with another fusion. Default: False.
        any_frames: whether clips of fewer frames may come, see ``frame_dropout`` of :class:`ImageToClip`. Default:
            False.
        part_after: path of a module, such as ``'layer1'``, or a number of stages: up to its end the backbone sees the
            image alone, and its feature map then becomes the clip, by the warps of the data preprocessor. This costs
            less than a clip of images. Frames are fused behind it alone. The model has to lend the step, as
            :class:`ClipModel` does. Default: None, clips of images.

    Shape:
        the backbone's input becomes (B, T*C, H, W), or stays (B, C, H, W) with ``part_after``; its outputs are
        (B*T, C', h, w).

    Raises:
        ValueError: if the backbone has no place for fusion or parting, or no such stage, or if another path leads
            around the place; in ``forward`` if the clip has
            another number of frames, or its frames another number of channels than the network, or no model lends the
            step of ``part_after``; or on loading weights that were trained with another fusion or parting.
    """

    part_name = 'fusion'
    fusion: FusionModules
    token_grid: TokenGrid
    parting: Parting | None
    image_channels: int
    fused_at: str

    def __new__(
        cls,
        backbone: Any,
        num_frames: int | None = None,
        fusion: Mapping | None = None,
        stages: Sequence[int] | Sequence[str] | None = None,
        pretrained: str | None = None,
        accept_difference: bool = False,
        any_frames: bool = False,
        part_after: str | int | None = None,
    ) -> 'FrameFusionBackbone':
        host = build_host(backbone if pretrained is None else {**dict(backbone), 'pretrained': pretrained})
        place = None if part_after is None else find_place(host, part_after)
        all_options, defaults = (None, {}) if fusion is None else (_all_options(fusion), _defaults(fusion))
        modules = FusionModules(num_frames, all_options, accept_difference, any_frames, place, defaults)
        channels, grid, fused_at = _image_channels(host), TokenGrid(), ''
        if fusion is not None and num_frames != 1:
            fused_at = _fuse(host, modules, _sites(host, stages, place), fusion, grid)
        parting = None if place is None or num_frames == 1 else _part(host, modules, place)
        self = cls.extend(host)
        self.fusion, self.token_grid, self.image_channels, self.fused_at = modules, grid, channels, fused_at
        self.parting = parting
        if parting is not None:
            try_parting(self)
        return self

    def forward(self, clip: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of the host, with the frames of the clip side by side in the batch."""
        if self.parting is not None:
            return self._forward_images(clip, *args, **kwargs)
        channels = int(clip.shape[1])  # which tracing has as a tensor
        num_frames, rest = divmod(channels, self.image_channels)
        if rest or not self.fusion.fits(num_frames):
            raise ValueError(' '.join(self._explain(channels)))
        frames = clip_to_frames(clip, num_frames)
        if self.token_grid.is_used:
            self.token_grid.start(frames)
        return super().forward(frames, *args, **kwargs)

    def _forward_images(self, images: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of the host, whose frames part on the way."""
        parting: Any = self.parting
        parting.check_lent()
        check_channels(images, self.image_channels)
        outputs = super().forward(images, *args, **kwargs)
        if parting.frames is None:
            raise PartingError(
                f'part_after={parting.place!r} is not called by {type(self).__name__}; name another place of the '
                'backbone'
            )
        return parting.part_all(outputs, images.shape[0])

    def _explain(self, channels: int) -> Iterator[str]:
        """What may be wrong with a clip of so many channels."""
        frames, of_image = self.num_frames, self.image_channels
        if self.fusion.is_open:
            yield f'the backbone takes clips of images of {of_image} channels each, got one of {channels}. {COLOURS}'
            return
        yield (
            f'the backbone takes clips of {frames * of_image} channels (num_frames={frames}, {of_image} a frame), got '
            f'one of {channels}.'
        )
        whole_frames = channels % frames == 0
        if whole_frames:
            yield f'The images have {channels // frames} channels, the network takes {of_image}: {COLOURS}'
        if channels % of_image == 0 or not whole_frames:
            yield (
                f'{"Or " if whole_frames else ""}backbone.num_frames is {frames}, data_preprocessor.num_frames is '
                f'{channels / of_image:g}: leave it out of the backbone, or set both from one variable.'
            )

    def extra_repr(self) -> str:
        """As of the host, with the frames and the convolutions that call the fusion."""
        parts = '' if self.parting is None else f'frames part after {self.parting.place}'
        return '\n'.join(filter(None, [super().extra_repr(), f'num_frames={self.num_frames}', self.fused_at, parts]))


def _sites(host: nn.Module, stages: Any, place: str | None) -> list[AnySite]:
    named = bool(stages) and all(isinstance(stage, str) for stage in stages)
    sites = named_sites(host, stages) if named else find_sites(host, stages)
    return sites if place is None else sites_behind(host, place, sites, are_named=stages is not None)


def _part(host: nn.Module, modules: FusionModules, place: str) -> Parting:
    """Let the frames of a host part behind a module, and the fusion run behind it alone."""
    parting = Parting(place, modules.check_fits)
    host.get_submodule(place).register_forward_hook(parting)
    for module in modules.children():
        module.register_forward_pre_hook(parting.check_passed)
    return parting


def _image_channels(host: nn.Module) -> int:
    """Channels of an image, which the first convolution knows; the few hosts without one take RGB."""
    return next((module.in_channels for module in host.modules() if isinstance(module, nn.Conv2d)), 3)


def _fuse(host: nn.Module, modules: FusionModules, sites: Sequence[AnySite], fusion: Mapping, grid: TokenGrid) -> str:
    """Fill the modules and let convolutions and attentions of the host call them; say which."""
    num_frames = modules.num_frames
    if fusion.get('num_frames', num_frames) != num_frames:
        raise ValueError(
            f'backbone.fusion.num_frames is {fusion["num_frames"]}, backbone.num_frames is {num_frames}; leave it out '
            'of the fusion'
        )
    at_output = _placement(fusion) == 'after_last_conv'
    paths: dict[bool, list[str]] = {False: [], True: []}
    for site in sites:
        is_output = site.is_output if isinstance(site, TokenSite) else at_output
        paths[is_output].append(_fuse_at(site, host, modules, fusion, grid, is_output))
    tokens = [site for site in sites if isinstance(site, TokenSite)]
    if tokens:
        grid.is_used = True
        read_embedding(host, tokens, grid)
    fused = (f'the {"outputs" if key else "inputs"} of {", ".join(names)}' for key, names in paths.items() if names)
    return f'hooks fuse {" and ".join(fused)}'


def _fuse_at(
    site: AnySite, host: nn.Module, modules: FusionModules, fusion: Mapping, grid: TokenGrid, is_output: bool
) -> str:
    """Add the module of one site and let the host call it; the path of the part that does."""
    if isinstance(site, TokenSite):
        path, channels = site.part, site.channels
    else:
        path = site.last if is_output else site.first
        conv: Any = host.get_submodule(path)
        channels = conv.out_channels if is_output else conv.in_channels
    module = modules[path.replace('.', '_')] = _build_fusion(fusion, path, channels, modules.num_frames)
    if isinstance(site, TokenSite):
        fuse_tokens(host, site, module, grid)
    else:
        fuse_maps(conv, module, is_output)
    return path


def _build_fusion(fusion: Mapping, path: str, channels: int, num_frames: int | None) -> nn.Module:
    try:
        return MODELS.build({**fusion, 'channels': channels, 'num_frames': num_frames})
    except ValueError as error:
        raise ValueError(f'no fusion at {path} of the backbone: {error}') from error


def _fusion_class(fusion: Mapping) -> Any:
    return fusion['type'] if isinstance(fusion['type'], type) else MODELS.get(fusion['type'])


def _all_options(fusion: Mapping) -> dict[str, Any]:
    """Type and options of a fusion, with the defaults of those that its config leaves out."""
    own = {key: value for key, value in fusion.items() if key not in ('type', 'channels', 'num_frames', '_scope_')}
    return {'type': getattr(_fusion_class(fusion), '__name__', str(fusion['type'])), **_defaults(fusion), **own}


def _defaults(fusion: Mapping) -> dict[str, Any]:
    """Options of a fusion's type that have a default."""
    kind = _fusion_class(fusion)
    parameters = signature(kind).parameters.values() if kind else ()
    return {item.name: item.default for item in parameters if item.default is not item.empty}


def _placement(fusion: Mapping) -> str:
    module = _fusion_class(fusion)
    placement = getattr(module, 'placement', None)
    if placement not in PLACEMENTS:
        raise ValueError(
            f"fusion type {fusion['type']!r} should be a registered module such as 'mmdas.GateShift' with a placement "
            f'of {PLACEMENTS}, got {placement!r}'
        )
    return placement
