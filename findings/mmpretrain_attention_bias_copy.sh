#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6: weights that LeViT, TinyViT and EfficientFormer get in evaluation mode are used in part.
#
# In evaluation mode their attention adds `ab`, a copy of the learned biases that train(False) makes. It is neither
# parameter nor buffer. So a model in evaluation mode that loads a checkpoint reports success, and computes with the
# new weights and the old biases. The same holds for an averaged model that stays in evaluation mode, as a mean
# teacher does. A model whose modules get `training = False` without a call of train() has no copy and raises.
# Remedy: model.train(), then model.eval(), after each change of weights.
#
# Output seen (how far the output is off, as a share of its largest value; EfficientFormer scales its branches by 1e-5
# before it is trained, so little of it is seen):
#   LeViT:           loaded in eval 0.85, after train and eval 0.0, training = False: no attribute 'ab'
#   TinyViT:         loaded in eval 0.26, after train and eval 0.0, training = False: no attribute 'ab'
#   EfficientFormer: loaded in eval 9.4e-06, after train and eval 0.0, training = False: no attribute 'ab'
#   TinyViT, averaged in eval, then set to the weights of another: 0.26
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine.model import ExponentialMovingAverage
from mmpretrain.models import EfficientFormer, LeViT, TinyViT
from torch import nn

IMAGE = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
BUILDERS = {
    'LeViT': lambda: LeViT('128s'),
    'TinyViT': lambda: TinyViT('5m'),
    'EfficientFormer': lambda: EfficientFormer('l1', drop_path_rate=0.0),
}


def trained(build):
    """A model whose attention biases are not zero, as after a training."""
    model = build()
    for name, parameter in model.named_parameters():
        if name.endswith('attention_biases'):
            nn.init.normal_(parameter, std=5.0)
    model.eval()
    return model


@torch.no_grad()
def distance(model, other):
    """Largest difference of the outputs, as a share of the largest output."""
    output, expected = model(IMAGE)[-1], other(IMAGE)[-1]
    return ((output - expected).abs().max() / expected.abs().max()).item()


def loaded(build, other):
    """Distance to `other` after its weights are loaded in evaluation mode, and after a turn through train()."""
    model = build()
    model.eval()
    assert str(model.load_state_dict(other.state_dict())) == '<All keys matched successfully>'
    before = distance(model, other)
    model.train()
    model.eval()
    return before, distance(model, other)


def by_flag(model):
    for module in model.modules():
        module.training = False
    try:
        return distance(model, model)
    except AttributeError as error:
        return str(error).partition('has ')[2]


def averaged(build, other):
    """Distance of an average in evaluation mode that is set to the weights of `other`."""
    model = build()
    average = ExponentialMovingAverage(model, momentum=0.1, update_buffers=True)
    average.eval()
    average.update_parameters(other)
    assert all(torch.equal(a, b) for a, b in zip(average.module.parameters(), other.parameters(), strict=True))
    return distance(average.module, other)


torch.manual_seed(0)
for name, build in BUILDERS.items():
    other = trained(build)
    before, after = loaded(build, other)
    flag = by_flag(build())
    print(f'{name + ":":16} loaded in eval {before:.2g}, after train and eval {after}, training = False: {flag}')
    assert after == 0
    assert before > 1e-6 and flag == "no attribute 'ab'", 'the behaviour has changed'
    if name == 'TinyViT':
        mean_teacher = averaged(build, other)
print(f'TinyViT, averaged in eval, then set to the weights of another: {mean_teacher:.2g}')
assert mean_teacher > 1e-4, 'the behaviour has changed'
PY
