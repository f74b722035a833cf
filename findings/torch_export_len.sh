#!/usr/bin/env bash
# torch 2.13.0: len(tensor) makes a size that was to stay open a constant of an exported graph.
#
# torch.export keeps tensor.shape[0] as a symbol. len(tensor) has to be an integer, so that the same code with it fixes
# the batch to that of the example, and the export fails: "You marked batch as dynamic but your code specialized it to
# be a constant (2)". The remedy is tensor.shape[0].
#
# Output seen:
#   shape[0]: 5 rows of 5
#   len: Constraints violated (batch)!
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.13.0 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch


class Mean(torch.nn.Module):
    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, images):
        return images.mean(1, keepdim=True).expand(self.count(images), 3)


def record(count):
    shapes = ({0: torch.export.Dim('batch', min=1)},)
    return torch.export.export(Mean(count), (torch.rand(2, 4),), dynamic_shapes=shapes, strict=False).module()


print('shape[0]:', len(record(lambda images: images.shape[0])(torch.rand(5, 4))), 'rows of 5')
try:
    record(len)
except Exception as error:
    text = str(error)
else:
    raise AssertionError('the behaviour has changed')
print('len:', text.split('!')[0] + '!')
assert 'specialized it to be a constant (2)' in text, 'the behaviour has changed'
PY
