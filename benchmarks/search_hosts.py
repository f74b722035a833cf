"""The networks of the shipped search configs, with random batches: what the races of the search share."""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmdas.apis.config_loading import load_config
from mmdas.apis.das_settings import preprocessor_of

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
FRAMES = 8
KINDS = {'plain': '', 'repeat': f'repeat-{FRAMES}f-gsf_', 'search': f'search-{FRAMES}f-gsf_'}


@dataclass(frozen=True, eq=False)  # one object for each network
class SearchHost:
    """A network that the repository has configs for: plain, on repeated images, and with the cell of a search.

    Args:
        name: for tables.
        folder: of ``configs``.
        network: the rest of the configs' names.
        widths: part of the model -> settings of the network as its authors have it; the configs have a quarter of the
            width.
    """

    name: str
    folder: str
    network: str
    widths: dict[str, dict[str, int]]

    def config(self, kind: str, full_width: bool = False) -> Config:
        """One of the three configs.

        Args:
            kind: ``'plain'``, ``'repeat'`` or ``'search'``.
            full_width: whether with ``widths``. Default: False.
        """
        cfg = load_config(CONFIGS / self.folder / f'{KINDS[kind]}{self.network}.py')
        for part, settings in self.widths.items() if full_width else ():
            unwrapped(cfg.model[part]).update(settings)
        return cfg


def unwrapped(part: dict) -> dict:
    """Config of the toolbox's backbone or head, which mmdas wraps."""
    return part.get('backbone') or part.get('head') or part


WIDE_BACKBONE = dict(base_channels=64, stem_channels=64)
CLASSIFIER = SearchHost(
    'R18, reduced CIFAR-10',
    'cifar10_reduced',
    'resnet18-quarter_cifar10-reduced',
    dict(backbone=WIDE_BACKBONE, head=dict(in_channels=512)),
)
SEGMENTOR = SearchHost(
    'PSPNet R18, CamVid',
    'camvid',
    'pspnet_r18-d8_camvid-240x180',
    dict(
        backbone=WIDE_BACKBONE,
        decode_head=dict(in_channels=512, channels=128),
        auxiliary_head=dict(in_channels=256, channels=64),
    ),
)


def build_model(cfg: Config, device: torch.device, side: int | None = None) -> nn.Module:
    """The model of a config in training mode, with the same random weights every time.

    Args:
        cfg: of any of the two toolboxes.
        device: where it is put.
        side: of the crops of a segmentor; None leaves the config's. Default: None.
    """
    MMLogger.get_current_instance().setLevel('WARNING')  # not a line for every parameter
    model = {**cfg.model, 'data_preprocessor': copy.copy(preprocessor_of(cfg))}
    if side is not None and 'decode_head' in model:
        model['data_preprocessor']['size'] = (side, side)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(model)
        model.init_weights()
    model.to(device)
    model.train()
    return model


def search_wrappers(cfg: Config, model: nn.Module) -> OptimWrapperDict:
    """Both optimisers of a search config."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_optim_wrapper(model, cfg.optim_wrapper)


def weights_wrapper(cfg: Config, model: nn.Module) -> OptimWrapper:
    """The optimiser of the weights of a search config, for all parameters of a model without a cell."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_optim_wrapper(model, cfg.optim_wrapper.weights)


def random_batch(cfg: Config, images: int, side: int, seed: int) -> dict[str, object]:
    """Noise with random labels as a data loader gives it."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(256, (images, 3, side, side), generator=generator, dtype=torch.uint8)
    if 'decode_head' in cfg.model:
        classes = unwrapped(cfg.model.decode_head).num_classes
        maps = torch.randint(classes, (images, 1, side, side), generator=generator)
        return dict(inputs=list(inputs), data_samples=[_dense_sample(labels) for labels in maps])
    labels = torch.randint(unwrapped(cfg.model.head).num_classes, (images, 1), generator=generator)
    return dict(inputs=inputs, data_samples=[DataSample().set_gt_label(label) for label in labels])


def _dense_sample(labels: Tensor) -> SegDataSample:
    size = tuple(labels.shape[-2:])
    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
    sample.gt_sem_seg = PixelData(data=labels)
    return sample
