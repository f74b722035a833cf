#!/usr/bin/env bash
# thop 0.1.1.post2209072238, torchinfo 1.8.0, ptflops 0.7.5 with torch 2.14.1: three costs of Swin-T, none right.
#
# All of them count multiply-adds, as papers do, agree on plain convolutions and ResNet, and name nothing as left out.
# 1. torchinfo counts a Linear layer once, however many tokens it is applied to. Of a transformer that is next to
#    nothing: Swin-T has 130 times what it says. Convolutions are right, so that in a table of several networks the
#    transformer looks far cheaper than the rest. Parameters are right.
# 2. thop and torchinfo count a transposed convolution as its kernel times its output. With a stride of s each output
#    meets 1 / s^2 of the kernel, so that such steps of a decoder (U-Net) count four times.
# 3. Attention by functions is 0: thop and torchinfo have no functions at all, ptflops in its default backend neither
#    F.linear nor tensor @ tensor. A third of Swin-T is of these.
# 4. ptflops by default counts the attention of nn.MultiheadAttention twice: as a module and by the function within.
# Remedy: ptflops with backend='aten' (torch 2), which is right in all rows, and the formula of one layer beside it.
#
# Output seen (millions of multiply-adds; layers of 64 channels on 16 x 16 without biases, aten is ptflops):
#                                      true     thop torchinfo  ptflops     aten
#   Conv2d 3x3                         9.44     9.44      9.44     9.44     9.44
#   Linear of 256 tokens               1.05     1.05      0.00     1.05     1.05
#   ConvTranspose2d 2x2, stride 2      4.19    16.78     16.78     4.19     4.19
#   F.linear of 256 tokens             1.05     0.00      0.00     0.00     1.05
#   tokens @ tokens                    4.19     0.00      0.00     0.00     4.19
#   MultiheadAttention                12.58     0.00      0.00    21.53    12.58
#   Swin-T, as torchvision says     4491.00  2978.10     34.37  3128.18  4503.74
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 thop==0.1.1.post2209072238 torchinfo==1.8.0 ptflops==0.7.5

"$tmp/venv/bin/python" -W ignore - <<'PY'
import contextlib
import copy
import io

import ptflops
import thop
import torch
import torchinfo
import torchvision
from torch import nn

CHANNELS, SIDE = 64, 16
TOKENS = SIDE * SIDE


class OfTokens(nn.Module):
    """A module or function of (1, tokens, channels), for an image."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.weight = nn.Parameter(torch.ones(CHANNELS, CHANNELS))

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        if isinstance(self.inner, nn.MultiheadAttention):
            return self.inner(tokens, tokens, tokens)[0]
        return self.inner(tokens) if isinstance(self.inner, nn.Linear) else self.inner(tokens, self.weight)


def linear(tokens, weight):
    return nn.functional.linear(tokens, weight)


def similarity(tokens, _):
    return tokens @ tokens.transpose(1, 2)


def counts(model, shape):
    """Millions of multiply-adds by thop, torchinfo and ptflops with two backends."""
    model, image = model.eval(), torch.randn(1, *shape)
    with contextlib.redirect_stdout(io.StringIO()):
        found = [thop.profile(copy.deepcopy(model), inputs=(image,), verbose=False)[0]]
        found.append(torchinfo.summary(copy.deepcopy(model), input_data=image, verbose=0).total_mult_adds)
        options = {'as_strings': False, 'print_per_layer_stat': False}
        for backend in ('pytorch', 'aten'):
            found.append(ptflops.get_model_complexity_info(copy.deepcopy(model), shape, backend=backend, **options)[0])
    return [float(count) / 1e6 for count in found]


square = TOKENS * CHANNELS**2
rows = {
    'Conv2d 3x3': (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), 9 * square),
    'Linear of 256 tokens': (OfTokens(nn.Linear(CHANNELS, CHANNELS, bias=False)), square),
    'ConvTranspose2d 2x2, stride 2': (nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, stride=2, bias=False), 4 * square),
    'F.linear of 256 tokens': (OfTokens(linear), square),
    'tokens @ tokens': (OfTokens(similarity), TOKENS**2 * CHANNELS),
    'MultiheadAttention': (
        OfTokens(nn.MultiheadAttention(CHANNELS, 4, bias=False, batch_first=True)),
        4 * square + 2 * TOKENS**2 * CHANNELS,
    ),
}
torch.manual_seed(0)
print(f'{"":30} {"true":>8} {"thop":>8} {"torchinfo":>9} {"ptflops":>8} {"aten":>8}')
results = {}
for name, (model, true) in rows.items():
    results[name] = [true / 1e6, *counts(model, (CHANNELS, SIDE, SIDE))]
published = torchvision.models.Swin_T_Weights.DEFAULT.meta['_ops'] * 1e3
results['Swin-T, as torchvision says'] = [published, *counts(torchvision.models.swin_t(), (3, 224, 224))]
for name, (true, by_thop, by_torchinfo, by_ptflops, by_aten) in results.items():
    print(f'{name:30} {true:8.2f} {by_thop:8.2f} {by_torchinfo:9.2f} {by_ptflops:8.2f} {by_aten:8.2f}')


def share(name):
    """What each counts, as a share of the truth."""
    true, *found = results[name]
    return [round(count / true, 1) for count in found]


assert share('Conv2d 3x3') == [1, 1, 1, 1]
assert share('Linear of 256 tokens') == [1, 0, 1, 1], 'the behaviour has changed'
assert share('ConvTranspose2d 2x2, stride 2') == [4, 4, 1, 1], 'the behaviour has changed'
assert share('F.linear of 256 tokens') == [0, 0, 0, 1], 'the behaviour has changed'
assert share('tokens @ tokens') == [0, 0, 0, 1], 'the behaviour has changed'
assert share('MultiheadAttention') == [0, 0, 1.7, 1], 'the behaviour has changed'
swin = share('Swin-T, as torchvision says')
assert swin == [0.7, 0, 0.7, 1], 'the behaviour has changed'
PY
