#!/usr/bin/env bash
# onnxruntime 1.32.0: quantize_static in the format QOperator is wrong where a bias or an activation is used twice.
#
# A bias is quantised by the scale of the input times that of the weight. A head that is shared by the levels of a
# pyramid meets inputs of several scales, but in this format its bias is quantised once, by the first one's: at the
# other levels it is too large or too small by the ratio of the scales. Class biases of such heads are the largest of
# all (-4.6 at the start, for focal losses). The second case is a convolution whose output goes into a ReLU and past it,
# as in blocks with pre-activation. The ReLU is taken out in any case, as its input gets a range without negative
# values. It gets that only where nothing else reads it; here it keeps its own, and no ReLU is left at all. Both graphs
# load, run and warn of nothing. In QDQ, the default, both are right, and in QOperator with a copy of the bias.
# Remedy: QuantFormat.QDQ; always compare the outputs with those of the float graph.
#
# Output seen (root mean square error, as a share of the standard deviation of the output):
#   head shared by two levels, QDQ: fine_scores 0.02, coarse_scores 0.02
#   head shared by two levels, QOperator: fine_scores 0.02, coarse_scores 4.28
#   the same, each with a copy of the bias, QDQ: fine_scores 0.02, coarse_scores 0.02
#   the same, each with a copy of the bias, QOperator: fine_scores 0.02, coarse_scores 0.02
#   convolution before a ReLU and past it, QDQ: sum 0.02
#   convolution before a ReLU and past it, QOperator: sum 0.63
#   the same without the path past it, QDQ: sum 0.02
#   the same without the path past it, QOperator: sum 0.02
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import logging

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

logging.disable(logging.WARNING)  # a hint to call another function first
random = np.random.default_rng(0)
images = [random.normal(size=(1, 4, 16, 16)).astype(np.float32) for _ in range(8)]


def weights(*shape):
    return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def node(kind, inputs, output, **options):
    return helper.make_node(kind, inputs.split(), [output], **options)


HEAD = {'head': weights(3, 8, 1, 1), 'bias': np.full(3, -4.6, np.float32)}
PYRAMID = [
    node('Conv', 'x first', 'fine'),
    node('Conv', 'fine second', 'coarse', strides=[2, 2]),
    node('Conv', 'fine head bias', 'fine_scores'),
]
LAYERS = {'first': weights(8, 4, 1, 1) * 4, 'second': weights(8, 8, 1, 1) / 8}
CASES = {
    'head shared by two levels': (
        [*PYRAMID, node('Conv', 'coarse head bias', 'coarse_scores')],
        LAYERS | HEAD,
        ['fine_scores', 'coarse_scores'],
    ),
    'the same, each with a copy of the bias': (
        [*PYRAMID, node('Conv', 'coarse head bias2', 'coarse_scores')],
        LAYERS | HEAD | {'bias2': HEAD['bias']},
        ['fine_scores', 'coarse_scores'],
    ),
    'convolution before a ReLU and past it': (
        [node('Conv', 'x first', 'z'), node('Relu', 'z', 'a'), node('Conv', 'a next', 'b'), node('Add', 'b z', 'sum')],
        {'first': weights(8, 4, 3, 3), 'next': weights(8, 8, 1, 1)},
        ['sum'],
    ),
    'the same without the path past it': (
        [node('Conv', 'x first', 'z'), node('Relu', 'z', 'a'), node('Conv', 'a next', 'sum')],
        {'first': weights(8, 4, 3, 3), 'next': weights(8, 8, 1, 1)},
        ['sum'],
    ),
}


class Images(CalibrationDataReader):
    def __init__(self):
        self.left = iter(images)

    def get_next(self):
        image = next(self.left, None)
        return None if image is None else {'x': image}


def outputs(path):
    session = onnxruntime.InferenceSession(path)
    return [np.stack(parts) for parts in zip(*(session.run(None, {'x': image}) for image in images))]


def errors(name, form):
    nodes, numbers, names = CASES[name]
    graph = helper.make_graph(
        nodes,
        'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, images[0].shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * 4) for output in names],
        [numpy_helper.from_array(values, key) for key, values in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, 'float.onnx')
    quantize_static('float.onnx', 'bytes.onnx', Images(), quant_format=form, activation_type=QuantType.QUInt8)
    pairs = zip(outputs('float.onnx'), outputs('bytes.onnx'))
    return [float(np.sqrt(((wanted - got) ** 2).mean()) / wanted.std()) for wanted, got in pairs]


found = {}
for name, (*_, names) in CASES.items():
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        found[name, form.name] = errors(name, form)
        told = ', '.join(f'{output} {error:.2f}' for output, error in zip(names, found[name, form.name]))
        print(f'{name}, {form.name}: {told}')

first, copies, past, plain = CASES
kinds = {}
for name in (past, plain):
    errors(name, QuantFormat.QOperator)
    kinds[name] = [node.op_type for node in onnx.load('bytes.onnx').graph.node]
assert 'Relu' not in kinds[past] + kinds[plain], 'the ReLU stays now'
for name in CASES:
    assert max(found[name, 'QDQ']) < 0.1, 'QDQ was right'
assert found[first, 'QOperator'][1] > 1 and found[past, 'QOperator'][0] > 0.3, 'this has changed'
assert found[first, 'QOperator'][0] < 0.1 and max(found[copies, 'QOperator'] + found[plain, 'QOperator']) < 0.1
PY
