#!/usr/bin/env bash
# openvino 2026.4.1, MNN 3.6.1 with onnx 1.23.2: both read Resize with antialias=1 and leave the antialiasing out.
#
# Pillow, torchvision and F.interpolate(antialias=True) smooth an image before they make it smaller. PyTorch's exporter
# writes that as the attribute `antialias` of the ONNX operator Resize, which it has had since opset 18. onnxruntime and
# the evaluator of the onnx package follow it. OpenVINO and MNN take the graph without an error or a warning and compute
# the same as with antialias=0, in linear and in cubic mode. Whoever puts the resizing of a preprocessing into the
# exported file, so that it cannot differ from the training's, gets images with aliasing, and a network that is worse
# than in PyTorch for no visible reason. (In cubic mode MNN takes -0.75 as well, whatever cubic_coeff_a says.)
# Remedy: convert and compare with onnxruntime on a real image; else resize outside of the graph, or write the filter as
# two products with constant matrices (one along each side), which all of them compute alike.
#
# Output seen (a line pattern of 64 x 64 pixels from 0 to 255, made 16 x 16; largest difference from Pillow's filter):
#   linear, antialias=0: onnxruntime 38.7, onnx.reference 38.7, OpenVINO 38.7, MNN 38.7
#   linear, antialias=1: onnxruntime 0.0, onnx.reference 0.0, OpenVINO 38.7, MNN 38.7
#   linear, two products: onnxruntime 0.0, onnx.reference 0.0, OpenVINO 0.0, MNN 0.0
#   cubic, antialias=0: onnxruntime 65.5, onnx.reference 65.5, OpenVINO 65.5, MNN 81.2
#   cubic, antialias=1: onnxruntime 0.0, onnx.reference 0.0, OpenVINO 65.5, MNN 81.2
#   cubic, two products: onnxruntime 0.0, onnx.reference 0.0, OpenVINO 0.0, MNN 0.0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 MNN==3.6.1
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY' | grep -v '^The device supports'
import subprocess
import sys

import MNN.expr as expr
import MNN.nn as nn
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

SIDE, SMALL = 64, 16
rows, columns = np.mgrid[:SIDE, :SIDE]
plane = np.where((rows + 2 * columns) % 5 < 2, 255, 0).astype(np.float32)
image = plane[None, None]
FILTERS = {'linear': (Image.Resampling.BILINEAR, -0.75), 'cubic': (Image.Resampling.BICUBIC, -0.5)}
# The command mnnconvert would run pip first, see mnn_convert_runs_pip.sh.
CONVERT = 'import sys, _tools; _tools.mnnconvert(sys.argv[1:])'


def pillow(way):
    return np.asarray(Image.fromarray(plane).resize((SMALL, SMALL), way))[None, None]


def resize(mode, antialias):
    node = helper.make_node(
        'Resize',
        ['x', '', '', 'sizes'],
        ['y'],
        mode=mode,
        antialias=antialias,
        exclude_outside=antialias,
        cubic_coeff_a=FILTERS[mode][1],
    )
    return [node], {'sizes': np.array([1, 1, SMALL, SMALL])}


def products(mode, _):
    """The same filter as a matrix for each side: what Pillow makes of the columns of a unit matrix."""
    unit = Image.fromarray(np.eye(SIDE, dtype=np.float32))
    matrix = np.asarray(unit.resize((SIDE, SMALL), FILTERS[mode][0]))
    nodes = [helper.make_node('MatMul', ['left', 'x'], ['z']), helper.make_node('MatMul', ['z', 'right'], ['y'])]
    return nodes, {'left': matrix, 'right': np.ascontiguousarray(matrix.T)}


def write(nodes, numbers):
    graph = helper.make_graph(
        nodes,
        'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, (1, 1, SMALL, SMALL))],
        [numpy_helper.from_array(values, name) for name, values in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, 'model.onnx')


def by_onnxruntime():
    return onnxruntime.InferenceSession('model.onnx').run(None, {'x': image})[0]


def by_reference():
    return ReferenceEvaluator('model.onnx').run(None, {'x': image})[0]


def by_openvino():
    core = openvino.Core()
    return core.compile_model(core.read_model('model.onnx'), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})([image])[0]


def by_mnn():
    options = ['-f', 'ONNX', '--modelFile', 'model.onnx', '--MNNModel', 'model.mnn', '--bizCode', 'x']
    command = [sys.executable, '-c', CONVERT, 'mnnconvert', *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    network = nn.load_module_from_file('model.mnn', ['x'], ['y'])
    given = expr.const(image.flatten().tolist(), list(image.shape), expr.NCHW)
    return np.array(expr.convert(network.forward(given), expr.NCHW).read())


RUNTIMES = {'onnxruntime': by_onnxruntime, 'onnx.reference': by_reference, 'OpenVINO': by_openvino, 'MNN': by_mnn}
for mode, (way, _) in FILTERS.items():
    found = {}
    ways = (('antialias=0', resize, 0), ('antialias=1', resize, 1), ('two products', products, 1))
    for name, make, antialias in ways:
        write(*make(mode, antialias))
        for runtime, run in RUNTIMES.items():
            found[name, runtime] = run()
        apart = {runtime: np.abs(found[name, runtime] - pillow(way)).max() for runtime in RUNTIMES}
        print(f'{mode}, {name}:', ', '.join(f'{runtime} {distance:.1f}' for runtime, distance in apart.items()))
        if name != 'antialias=0':
            right = [runtime for runtime, distance in apart.items() if distance < 1]
            assert right == list(RUNTIMES)[: 2 if name == 'antialias=1' else None], 'this has changed'
    for runtime in ('OpenVINO', 'MNN'):
        assert np.array_equal(found['antialias=1', runtime], found['antialias=0', runtime]), 'the attribute is read now'
PY
