#!/usr/bin/env bash
# onnx 1.23.2, MNN 3.6.1: negative pads are valid ONNX, but the reference implementation fails and MNN leaves them out.
#
# PyTorch's `pad` takes negative numbers, which cut off, and its exporter writes them into the ONNX operator Pad as they
# are. The specification of Pad says that a negative number removes so many values. onnxruntime does so. The evaluator
# of the onnx package itself, by which one checks what a graph should give, hands them to NumPy and fails. MNN converts
# the graph without a word; where the pads of a side cancel out, as in the shift of a clip by one frame (-1 and 1), its
# result is the input. A network with temporal shifts has such a pad in every block, and its scores are then others.
# Remedy: slice first, then pad by what is not negative. Of that all three make the same.
#
# Output seen (a clip of four frames, shifted by one frame):
#   pads of -1 and 1: onnxruntime right, onnx.reference ValueError: index can't contain negative values, MNN the clip itself
#   slice, pads of 0 and 1: onnxruntime right, onnx.reference right, MNN right
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 MNN==3.6.1
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY' | grep -v '^The device supports'
import subprocess
import sys

import MNN.expr as expr
import MNN.nn as nn
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

clip = np.arange(1, 25, dtype=np.float32).reshape(1, 4, 2, 3)  # four frames of two channels and three pixels
later = np.concatenate([clip[:, 1:], np.zeros_like(clip[:, :1])], axis=1)
GRAPHS = {
    'pads of -1 and 1': ([('Pad', 'x pads', 'y')], {'pads': [0, -1, 0, 0, 0, 1, 0, 0]}, later),
    'slice, pads of 0 and 1': (
        [('Slice', 'x one four one', 'z'), ('Pad', 'z pads', 'y')],
        {'one': [1], 'four': [4], 'pads': [0, 0, 0, 0, 0, 1, 0, 0]},
        later,
    ),
}
# The command mnnconvert would run pip first, see mnn_convert_runs_pip.sh.
CONVERT = 'import sys, _tools; _tools.mnnconvert(sys.argv[1:])'


def write(name):
    steps, numbers, wanted = GRAPHS[name]
    nodes = [helper.make_node(kind, inputs.split(), [output]) for kind, inputs, output in steps]
    graph = helper.make_graph(
        nodes,
        'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, clip.shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, wanted.shape)],
        [numpy_helper.from_array(np.array(values, np.int64), key) for key, values in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, 'model.onnx')


def by_onnxruntime():
    return onnxruntime.InferenceSession('model.onnx').run(None, {'x': clip})[0]


def by_reference():
    return ReferenceEvaluator('model.onnx').run(None, {'x': clip})[0]


def by_mnn():
    options = ['-f', 'ONNX', '--modelFile', 'model.onnx', '--MNNModel', 'model.mnn', '--bizCode', 'x']
    command = [sys.executable, '-c', CONVERT, 'mnnconvert', *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    network = nn.load_module_from_file('model.mnn', ['x'], ['y'])
    given = expr.const(clip.flatten().tolist(), list(clip.shape), expr.NCHW)
    return np.array(expr.convert(network.forward(given), expr.NCHW).read())


def said(run, wanted):
    try:
        found = run()
    except ValueError as error:
        return f'ValueError: {error}'
    if np.array_equal(found, wanted):
        return 'right'
    return 'the clip itself' if np.array_equal(found, clip) else 'wrong'


found = {}
for name, (*_, wanted) in GRAPHS.items():
    write(name)
    found[name] = [said(run, wanted) for run in (by_onnxruntime, by_reference, by_mnn)]
    print(f'{name}: onnxruntime {found[name][0]}, onnx.reference {found[name][1]}, MNN {found[name][2]}')

negative, other = found.values()
assert negative[0] == 'right' and negative[1].startswith('ValueError') and negative[2] != 'right', 'this has changed'
assert other == ['right'] * 3
PY
