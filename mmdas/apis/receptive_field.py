"""Receptive fields of a config: its plain network and that of DAS side by side."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from mmdas.analysis.network import AnalysisError, Batch, ImageNetwork
from mmdas.analysis.receptive_field import (
    StageField,
    effective_field,
    field_in_middle,
    frame_reaches,
    stages_of,
    theoretical_fields,
)
from mmdas.models.heads.temporal_pooling import TemporalPooling
from mmdas.models.settings import KEY
from mmdas.noise import import_toolbox
from mmdas.ops.clip import reference_frame, split_frames

from .clip_config import last_size, pipeline_of, prepare_clips
from .config_files import host_of, iterate_dicts, require_checkpoint, require_model, toolbox_of
from .das_settings import parts_with_frames, preprocessor_of, takes_frames
from .device import adapt_to_device
from .frame_numbers import check_num_frames
from .pure_python import types_as_text

USUAL_SIZE = (224, 224)  # where neither a policy nor the training says one
OF_CLIPS = ('cell', 'policy', 'frame_dropout', 'used_frames')  # of a data preprocessor of DAS


@dataclass(frozen=True)
class ReceptiveFields:
    """What was found.

    Args:
        size: (H, W) of the images.
        stages: of the plain network, in theory; empty where it takes images of one size alone.
        reason: why there are none; empty where there are.
        plain: (H, W), the measured field of the plain network.
        clip: the same of the network of DAS; None for a plain config.
        reaches: (T, H, W), bool: what each frame shows of the theoretical field; None for a plain config, or without
            stages.
    """

    size: tuple[int, int]
    stages: list[StageField]
    reason: str
    plain: Tensor
    clip: Tensor | None
    reaches: Tensor | None


def receptive_fields(
    cfg: Config,
    checkpoint: str | None = None,
    size: Sequence[int] | None = None,
    files: Sequence[str] = (),
    images: int = 8,
    draws: int = 2,
) -> ReceptiveFields:
    """Theoretical and measured receptive fields of the unit in the middle of the last map of the backbone.

    The weights of the plain network are those of the network of DAS, without its fusion.

    Args:
        cfg: plain or of DAS, as :func:`mmdas.apis.load_config` gives it; stays as it is.
        checkpoint: weights, of either. Default: none, the networks have random weights.
        size: (H, W) of the images. Default: in which the shifts of the policy count, or that of the training's crops.
        files: images to measure with, resized to it. Default: normal noise.
        images: number of images of noise.
        draws: see :func:`mmdas.analysis.receptive_field.effective_field`.

    Raises:
        ValueError: for a config, a size or a network that has no such field.
        FileNotFoundError: if there is no such checkpoint, policy or image.
    """
    if images < 1:
        raise ValueError(f'--noise-images is {images}, expected at least 1')
    require_model(cfg, cfg.filename or 'the config')
    cfg = types_as_text(copy.deepcopy(cfg))
    frames = int(preprocessor_of(cfg).get('num_frames', 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # weights, where there are none, and noise: the same every time
        network = build_network(cfg, checkpoint)
        plain = network
        if frames > 1:
            plain = build_network(plain_config(cfg), checkpoint)
            share_weights(network.model, plain.model)
        chosen = find_size(cfg, network, size)
        stages, reason = theory(plain)
        torch.manual_seed(0)
        inputs = read_images(plain, files, chosen) if files else torch.randn(images, channels_of(plain), *chosen)
        field = measure(plain, inputs, draws)
        clip = measure(network, inputs, draws) if frames > 1 else None
    reaches = reach(network, frames, stages, chosen) if frames > 1 and stages else None
    return ReceptiveFields(chosen, stages, reason, field, clip, reaches)


def build_network(cfg: Config, checkpoint: str | None) -> ImageNetwork:
    """The network of a config, with weights."""
    if checkpoint is not None:
        content = require_checkpoint(checkpoint)
        cfg.load_from = checkpoint
    check_num_frames(cfg)
    prepare_clips(cfg, preprocessor_of(cfg))
    adapt_to_device(cfg)
    import_toolbox(host_of(cfg).scope)
    own = {'data_preprocessor': cfg.data_preprocessor} if cfg.get('data_preprocessor') is not None else {}
    with DefaultScope.overwrite_default_scope(toolbox_of(cfg)):
        model = MODELS.build({**own, **cfg.model})
    if checkpoint is not None:
        load_weights(model, content, checkpoint)
    return ImageNetwork(model)


def load_weights(model: torch.nn.Module, content: dict, checkpoint: str) -> None:
    """Load what a checkpoint has of a model: one of DAS has more than the plain model, and the other way round.

    Raises:
        AnalysisError: if the backbone is not that of the checkpoint.
    """
    state = content.get('state_dict', content)
    frames = getattr(model.data_preprocessor, 'num_frames', 1)
    if frames == 1:  # the plain network of a checkpoint of DAS
        own = model.state_dict()
        state = {key: value for key, value in state.items() if key in own and not key.endswith(KEY)}
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:  # of PyTorch: a line for every weight
        reason = next((line.strip() for line in str(error).splitlines() if 'size mismatch' in line), str(error))
        raise AnalysisError(
            f'{checkpoint} is a checkpoint of another model: {reason.rstrip(".")}; give the config that it was trained '
            'with'
        ) from error
    lost = [key for key in missing if key.startswith('backbone.') and '.fusion.' not in f'.{key}' and KEY not in key]
    if lost:
        raise AnalysisError(f'{checkpoint} has no {lost[0]} of the backbone; give the config that it was trained with')


def plain_config(cfg: Config) -> Config:
    """The plain network of a config of DAS: the same with one frame."""
    made = copy.deepcopy(cfg)
    options = preprocessor_of(made)
    for key in OF_CLIPS:
        options.pop(key, None)
    if 'num_frames' in made:
        made.num_frames = 1
    for part in parts_with_frames(made.model).values():
        if takes_frames(part):
            part['num_frames'] = 1
    for _, node in (*iterate_dicts(made.model), *iterate_dicts(options)):
        if 'num_frames' in node:
            node['num_frames'] = 1
    return made


def share_weights(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Give the plain network the weights of that of DAS, as far as it has them."""
    own = target.state_dict()
    state = {key: value for key, value in source.state_dict().items() if key in own and not key.endswith(KEY)}
    target.load_state_dict(state, strict=False)


def find_size(cfg: Config, network: ImageNetwork, size: Sequence[int] | None) -> tuple[int, int]:
    """(H, W) of the images.

    Raises:
        ValueError: for a side below 1.
    """
    clip = getattr(network.preprocessor, 'image_to_clip', None)
    known = [getattr(clip, 'reference_size', None), getattr(network.preprocessor, 'size', None)]
    crops = [last_size(pipeline_of(cfg.get(loader))) for loader in ('train_dataloader', 'test_dataloader')]
    height, width = next(found for found in (size, *known, *crops, USUAL_SIZE) if found)
    if height < 1 or width < 1:
        raise ValueError(f'--size is {height} {width}, expected two sides in pixels')
    return int(height), int(width)


def channels_of(network: ImageNetwork) -> int:
    """Channels of an image."""
    convs = (module for module in network.model.backbone.modules() if isinstance(module, torch.nn.Conv2d))
    return next((conv.in_channels for conv in convs), 3)


def theory(plain: ImageNetwork) -> tuple[list[StageField], str]:
    """The theoretical fields of a plain network, or why there are none."""
    names = [name for name, _ in plain.model.named_modules()]
    stages = [f'backbone.{stage}' for stage in stages_of(plain.model.backbone) if not stage.startswith('fusion')]
    stages += [name for name in names if name.startswith('decode_head') and name.endswith('conv_seg')]
    run: Callable[[Any, Tensor], Any] = _whole if plain.label_maps else _backbone
    try:
        return theoretical_fields(plain.model, run, stages, channels_of(plain)), ''
    except (AssertionError, NotImplementedError, RuntimeError, ValueError) as error:
        return [], f'{type(error).__name__}: {" ".join(str(error).split())}'


def _whole(model: Any, image: Tensor) -> Any:
    return model(image, None, mode='tensor')


def _backbone(model: Any, image: Tensor) -> Any:
    return model.extract_feat(image, stage='backbone')


def measure(network: ImageNetwork, images: Tensor, draws: int) -> Tensor:
    """The measured field of the unit in the middle, over all frames of a network of DAS; always with the same signs."""
    torch.manual_seed(0)
    with network.evaluating():
        return effective_field(lambda image: last_map(network, image), images, draws)


def last_map(network: ImageNetwork, image: Tensor) -> Tensor:
    """The last map of the backbone, of a clip that which the pooling of the head makes of its frames.

    Raises:
        AnalysisError: if the backbone gives no map.
    """
    model, size = network.model, (int(image.shape[-2]), int(image.shape[-1]))
    inputs = network.inputs(Batch(image, None, [size]))
    found = model.extract_feat(inputs) if network.label_maps else _backbone(model, inputs)
    outputs = found if isinstance(found, (list, tuple)) else [found]
    maps = [output for output in outputs if isinstance(output, Tensor) and output.ndim == 4]
    if not maps:
        raise AnalysisError(
            f'{type(model.backbone).__name__} gives no map (B, C, h, w), of which a unit in the middle could be '
            "measured; set its out_type to 'featmap'"
        )
    frames = len(maps[-1]) // len(image)
    return _pooled(split_frames(maps[-1], frames), model)


def _pooled(maps: Tensor, model: Any) -> Tensor:
    """(B, T, C, h, w) -> (B, C, h, w): the reference frame where the head takes it alone, else the mean."""
    poolings = [module for module in model.modules() if isinstance(module, TemporalPooling)]
    if poolings and poolings[0].mode == 'reference':
        return maps[:, reference_frame(maps.shape[1])]
    return maps.mean(1)


def reach(network: ImageNetwork, frames: int, stages: Sequence[StageField], size: tuple[int, int]) -> Tensor:
    """What each frame shows of the theoretical field of the last stage of the backbone."""
    mask = field_in_middle(size, stages)
    with network.evaluating():
        return frame_reaches(network.preprocessor.to_clip, frames, mask, channels_of(network))


def read_images(network: ImageNetwork, files: Sequence[str], size: tuple[int, int]) -> Tensor:
    """Files as the network takes them, resized."""
    from .image_inputs import expand

    height, width = size
    images = []
    for path in expand(list(files)):
        picture = cv2.imread(str(path))
        if picture is None:
            raise ValueError(f'{path} cannot be read as an image')
        images.append(torch.from_numpy(cv2.resize(picture, (width, height))).permute(2, 0, 1).contiguous())
    with network.evaluating():
        return network.read({'inputs': images}).images
