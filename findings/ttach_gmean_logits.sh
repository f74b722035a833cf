#!/usr/bin/env bash
# ttach 0.0.3 with torch 2.14.1: merge_mode='gmean' of an even number of views makes negative logits positive.
#
# The geometric mean is the root of the product of the views. Two negative logits have a positive product: a class at
# -0.4 comes out at +0.4, equal to one at +0.4, and a mask turns to foreground where the network is sure of background.
# An odd number of views gives NaN there, and 'tsharpen', a mean of square roots, gives NaN for any number. The wrappers
# take models as they are, which usually return logits, and neither says that it wants probabilities.
# Remedy: merge_mode='mean' for logits, or a model that ends in a softmax or sigmoid.
#
# Output seen (the model gives 0.4, 0.8 and -0.4 for each view):
#   mean, 2 views: [0.4, 0.8, -0.4]
#   gmean, 2 views: [0.4, 0.8, 0.4]
#   gmean, 3 views: [0.4, 0.8, nan]
#   tsharpen, 2 views: [0.63, 0.89, nan]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6 ttach==0.0.3

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
import ttach


class Network(torch.nn.Module):
    def forward(self, images):
        return torch.tensor([[0.4, 0.8, -0.4]]).expand(len(images), 3)


def merged(mode, *transforms):
    wrapper = ttach.ClassificationTTAWrapper(Network(), ttach.Compose(list(transforms)), merge_mode=mode)
    return [round(value, 2) for value in wrapper(torch.rand(1, 3, 8, 8))[0].tolist()]


two, three = ttach.HorizontalFlip(), ttach.Multiply([0.9, 1, 1.1])
seen = {
    'mean, 2 views': merged('mean', two),
    'gmean, 2 views': merged('gmean', two),
    'gmean, 3 views': merged('gmean', three),
    'tsharpen, 2 views': merged('tsharpen', two),
}
for name, values in seen.items():
    print(f'{name}: {values}')
assert seen['mean, 2 views'] == [0.4, 0.8, -0.4]
assert seen['gmean, 2 views'] == [0.4, 0.8, 0.4], 'the behaviour has changed'
assert all(str(seen[name]).endswith('nan]') for name in list(seen)[2:]), 'the behaviour has changed'
PY
