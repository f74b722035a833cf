"""Models of both toolboxes with two blocks, whose export takes a second."""

from mmengine.config import ConfigDict
from test_analysis.analysed_models import CLS_BACKBONE, SEG_BACKBONE, build, classifier, segmentor
from torch import nn

from mmdas.search.das import Policy, PolicyEdge

SHAPE = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
SIZE = (24, 32)
T = 2
CHAIN = Policy(
    T,
    num_nodes=2,
    edges=(PolicyEdge(0, 2, 'rotate', 12.0), PolicyEdge(2, 3, 'translate_x', 0.1)),
    reference_size=SIZE,
).to_dict()
COLOURED = Policy(
    T,
    num_nodes=3,
    edges=(
        PolicyEdge(0, 2, 'noise', 0.05),
        PolicyEdge(2, 3, 'cutout', 0.3),
        PolicyEdge(3, 4, 'scale', 0.1),
    ),
    reference_size=SIZE,
).to_dict()


def small(task: str, policy: dict | str | None = None, fusion: str | None = 'GateShiftFuse', **head) -> dict:
    """Config of a small model.

    Args:
        task: 'cls' or 'seg'.
        policy: None for a plain model.
        fusion: of its frames.
        head: options of the pooling head.
    """
    make, backbone = (classifier, CLS_BACKBONE) if task == 'cls' else (segmentor, SEG_BACKBONE)
    cfg = ConfigDict(make(policy))
    if policy is None:
        cfg.backbone.update(SHAPE)
    else:
        cfg.backbone.backbone = {**backbone, **SHAPE}
        cfg.backbone.fusion = fusion and dict(type=f'mmdas.{fusion}')
        cfg[place(cfg)].update(head)
    inner = cfg[place(cfg)] if policy is None else cfg[place(cfg)].head
    inner.in_channels = 8
    if task == 'seg':
        inner.in_index = 0
        cfg.data_preprocessor.test_cfg = dict(size_divisor=8)
    elif policy is not None:
        cfg.data_preprocessor.channel_order = 'rgb'
    return cfg


def place(cfg: ConfigDict) -> str:
    return 'decode_head' if 'decode_head' in cfg else 'head'


def build_small(*args, **options) -> nn.Module:
    """As of :func:`small`, in evaluation mode, with fusion that does something."""
    model = build(small(*args, **options)).eval()
    for name, parameter in model.named_parameters():
        if 'fusion' in name or 'temporal_pooling' in name:
            nn.init.normal_(parameter, std=0.3)
    return model
