#!/usr/bin/env bash
# torch 2.14.1, onnxscript 0.7.2: the ONNX export of scatter_reduce with reduce='mean' keeps one value, and no mean.
#
# scatter_reduce averages what falls to the same place: the pixels of a superpixel, the points of a voxel, the tokens
# that a vision transformer merges to be faster. ONNX's ScatterElements knows sums, products, minima and maxima, but no
# mean. One would expect an error, or a sum divided by a count. The exporter writes reduction='none', with which one of
# the values stays, here the last one, and says nothing. Sum, amax and amin are exported rightly.
# Remedy: divide scatter_add of the values by scatter_add of ones, which is the same in PyTorch. With verify=True
# torch.onnx.export compares the outputs of both; it logs the difference and returns as always, so look at the log.
#
# Output seen (mean brightness of the four quarters of an image, by a map of regions; onnxruntime 1.32.0):
#   mean: PyTorch [13.5, 17.5, 45.5, 49.5], file [27.0, 31.0, 59.0, 63.0], reduction='none'
#   sum: PyTorch [216.0, 280.0, 728.0, 792.0], file [216.0, 280.0, 728.0, 792.0], reduction='add'
#   amax: PyTorch [27.0, 31.0, 59.0, 63.0], file [27.0, 31.0, 59.0, 63.0], reduction='max'
#   amin: PyTorch [0.0, 4.0, 32.0, 36.0], file [0.0, 4.0, 32.0, 36.0], reduction='min'
#   sum / count: PyTorch [13.5, 17.5, 45.5, 49.5], file [13.5, 17.5, 45.5, 49.5], reduction='add'
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import contextlib
import io

import numpy as np
import onnx
import onnxruntime
import torch

REGIONS = 4


class ByReduce(torch.nn.Module):
    def __init__(self, reduce):
        super().__init__()
        self.reduce = reduce

    def forward(self, pixels, regions):
        start = torch.zeros(REGIONS)
        return start.scatter_reduce(0, regions, pixels, self.reduce, include_self=False)


class ByHand(torch.nn.Module):
    def forward(self, pixels, regions):
        zeros = torch.zeros(REGIONS)
        count = zeros.scatter_add(0, regions, torch.ones_like(pixels))
        return zeros.scatter_add(0, regions, pixels) / count


def exported(network, inputs):
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(network, inputs, 'model.onnx', input_names=['pixels', 'regions'], dynamo=True)
    names = {node.op_type: node for node in onnx.load('model.onnx').graph.node}
    reduction = [part.s.decode() for part in names['ScatterElements'].attribute if part.name == 'reduction']
    given = {name: values.numpy() for name, values in zip(('pixels', 'regions'), inputs)}
    return reduction[0], onnxruntime.InferenceSession('model.onnx').run(None, given)[0]


side = 8
image = torch.arange(side * side, dtype=torch.float32).reshape(side, side)
rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
inputs = (image.flatten(), (rows // 4 * 2 + columns // 4).flatten())
means = np.array([image[row : row + 4, column : column + 4].mean() for row in (0, 4) for column in (0, 4)])

distance = {}
for name, network in {
    **{reduce: ByReduce(reduce) for reduce in ('mean', 'sum', 'amax', 'amin')},
    'sum / count': ByHand(),
}.items():
    eager = network(*inputs).numpy()
    reduction, found = exported(network, inputs)
    distance[name] = np.abs(found - eager).max()
    print(f'{name}: PyTorch {eager.tolist()}, file {found.tolist()}, reduction={reduction!r}')
    if name in ('mean', 'sum / count'):
        assert np.allclose(eager, means), 'PyTorch means the regions'

wrong = {name for name, largest in distance.items() if largest > 1e-4}
assert wrong == {'mean'}, f'wrong are {wrong}'
PY
