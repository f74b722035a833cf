"""Models of the toolboxes, plain and with DAS, and batches for them: what the races of whole models share."""

from collections.abc import Callable, Mapping

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

import mmdas  # noqa: F401  makes the installed configs known
from mmdas.apis import preprocessor_of
from mmdas.ops.clip import repeat_image
from mmdas.search.das import Policy

from .harness import check_equal, saved_bytes

CITYSCAPES = '4xb2-80k_cityscapes-512x1024'
SEGMENTORS = {
    f'{name} {depth}': f'mmseg::{folder}/{folder}_{depth.lower()}-d8_{CITYSCAPES}.py'
    for name, folder in (('PSPNet', 'pspnet'), ('DeepLabV3+', 'deeplabv3plus'))
    for depth in ('R18', 'R50')
}
CLASSIFIERS = {
    'classifier R18': 'mmpretrain::resnet/resnet18_8xb32_in1k.py',
    'classifier R50': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
}
# What a config of the toolbox needs to become DAS, as a user writes it.
WRAPPED_BACKBONE = """
    backbone=dict(
        _delete_=True, type='mmdas.FrameFusionBackbone', num_frames=num_frames, fusion=dict(type='mmdas.GateShiftFuse'),
        backbone={{_base_.model.backbone}}),
"""
DAS_SEGMENTOR = f"""
model = dict(
    data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=num_frames),
    {WRAPPED_BACKBONE}
    decode_head=dict(
        _delete_=True, type='mmdas.TemporalPoolingHead', num_frames=num_frames, head={{{{_base_.model.decode_head}}}}),
    auxiliary_head=dict(
        _delete_=True, type='mmdas.TemporalPoolingHead', num_frames=num_frames,
        head={{{{_base_.model.auxiliary_head}}}}))
"""
DAS_CLASSIFIER = f"""
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', num_frames=num_frames)
model = dict(
    {WRAPPED_BACKBONE}
    head=dict(
        _delete_=True, type='mmdas.TemporalPoolingClsHead', num_frames=num_frames, head={{{{_base_.model.head}}}}))
"""


def build_model(
    name: str,
    size: int,
    frames: int | None = None,
    device: torch.device | str = 'cpu',
    options: Mapping[str, object] | None = None,
) -> nn.Module:
    """A model of an installed config, without pretrained weights and with the batch norm of one process.

    Args:
        name: of ``SEGMENTORS`` or ``CLASSIFIERS``.
        size: side of the square images.
        frames: T of the DAS model with a random policy; None gives the plain model. Default: None.
        device: where it is put. Default: the CPU.
        options: settings that replace the config's, with dotted keys. Default: none.
    """
    wrapping = DAS_SEGMENTOR if name in SEGMENTORS else DAS_CLASSIFIER
    base = f"_base_ = ['{(SEGMENTORS | CLASSIFIERS)[name]}']\n"
    cfg = Config.fromstring(base if frames is None else f'{base}num_frames = {frames}\n{wrapping}', '.py')
    cfg.merge_from_dict(dict(options or {}))
    config = _single_process({**cfg.model, 'data_preprocessor': preprocessor_of(cfg)})
    if name in SEGMENTORS:
        config['pretrained'] = None
        config['data_preprocessor']['size'] = (size, size)
    if frames is not None:
        config['data_preprocessor']['policy'] = Policy.random(frames).to_dict()
    MMLogger.get_current_instance().setLevel('WARNING')  # not a line for every parameter
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(config)
        model.init_weights()
    return model.to(device)


def _single_process(node: object) -> object:
    """The config with BN in place of SyncBN."""
    if isinstance(node, Mapping):
        return {key: _single_process(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(map(_single_process, node))
    return 'BN' if node == 'SyncBN' else node


def make_batch(name: str, images: int, size: int) -> dict[str, list]:
    """Images and labels as the data loader of a model gives them."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randint(256, (3, size, size), generator=generator, dtype=torch.uint8) for _ in range(images)]
    sample = _segmentation_sample if name in SEGMENTORS else _classification_sample
    return dict(inputs=inputs, data_samples=[sample(size, generator) for _ in inputs])


def _segmentation_sample(size: int, generator: torch.Generator) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(img_shape=(size, size), ori_shape=(size, size)))
    sample.gt_sem_seg = PixelData(data=torch.randint(19, (1, size, size), generator=generator))
    return sample


def _classification_sample(size: int, generator: torch.Generator) -> DataSample:
    return DataSample().set_gt_label(torch.randint(1000, (1,), generator=generator))


def train_step(model: nn.Module, batch: dict[str, list]) -> Callable[[], object]:
    """A full training step: preprocessor, forward, backward, SGD."""
    model.train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9))
    return lambda: model.train_step(batch, wrapper)


def share_weights(plain: nn.Module, das: nn.Module) -> None:
    """Give the DAS model the weights of the plain one.

    Raises:
        RuntimeError: if it lacks more than what fusion adds.
    """
    missing, unexpected = das.load_state_dict(plain.state_dict(), strict=False)
    wrong = [key for key in missing if '.fusion.' not in key] + unexpected
    if wrong:
        raise RuntimeError(f'plain and DAS model do not share {wrong}')


@torch.no_grad()
def check_same_prediction(plain: nn.Module, das: nn.Module, frames: int, size: int) -> None:
    """On T equal frames, with the gates as they start, DAS predicts what the plain model does.

    Raises:
        AssertionError: if not.
    """
    images = torch.randn(1, 3, size, size, device=next(plain.parameters()).device)
    plain.eval()
    das.eval()
    outputs = {'plain': plain(images, mode='tensor'), 'DAS': das(repeat_image(images, frames), mode='tensor')}
    check_equal(outputs, rtol=1e-3, atol=1e-3)


def training_memory(build: Callable[[], nn.Module], batch: dict[str, list], device: torch.device) -> int:
    """Bytes of a training step.

    On CUDA the peak of what is allocated, parameters, gradients and optimiser state included; on the CPU what autograd
    saves for the backward pass, as no allocator tells a peak there.
    """
    model = build()
    if device.type != 'cuda':
        model.train()
        return saved_bytes(lambda: model(**model.data_preprocessor(batch, training=True), mode='loss'))
    step = train_step(model, batch)
    step()  # makes the optimiser's state
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step()
    # Weights and momentum were there before the step; the rest of what was there belongs to others.
    own = sum(tensor.nbytes for tensor in model.state_dict().values())
    return torch.cuda.max_memory_allocated(device) - before + 2 * own


def memory_kind(device: torch.device) -> str:
    """What :func:`training_memory` measures."""
    return 'peak of the CUDA allocator' if device.type == 'cuda' else 'bytes that autograd saves'
