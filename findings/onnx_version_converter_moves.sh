#!/usr/bin/env bash
# onnx 1.23.2: version_converter moves what Upsample and Resize of opset 9 and 10 make, and changes Hardmax, in silence.
#
# Of opset 9 and 10, onnxruntime and OpenVINO take the value at i / scale for the pixel i of the output. Since opset 11
# the rule is an attribute, and its default is another one, (i + 0.5) / scale - 0.5. The converter writes Resize without
# the attribute. So a linear enlargement by 2 is half a pixel of the output off, one by 8 is 3.5 pixels off, and
# 'nearest' picks other pixels where the scale is no whole number. The converted graph passes the checker and runs.
# Softmax and Hardmax took all axes from `axis` on together up to opset 12, and take one since. Softmax gets nodes
# around it and stays right, Hardmax is left as it is. Whoever lifts an old network to a newer opset meets this, and
# whoever quantises one: quant_pre_process of onnxruntime 1.32.0 converts opset 10, and quantize_static what is older,
# by this function. Class maps are then displaced against their image, at scores that look as good as before.
# Remedy: after the conversion give these Resize nodes coordinate_transformation_mode='asymmetric' and
# nearest_mode='floor'; compare the outputs of both graphs on an image.
#
# Output seen (largest difference between a graph of opset 9 and the same one converted to 11; then labels):
#   linear by 2: 0.59, mended 0.00
#   linear by 8: 1.04, mended 0.00
#   nearest by 2: 0.00, mended 0.00
#   nearest by 1.7: 2.37, mended 0.00
#   Softmax, opset 11 to 13: 0.00; sum of the first image 1.00, then 1.00
#   LogSoftmax, opset 11 to 13: 0.00; sum of the first image -31.38, then -31.38
#   Hardmax, opset 11 to 13: 1.00; sum of the first image 1.00, then 4.00
#   quant_pre_processed, opset 10: second class from column 29, then from 32, mended from 29
#   quantised, opset 9: second class from column 29, then from 32, mended from 29
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
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

logging.disable(logging.WARNING)  # quantize_static says that it converts
onnxruntime.set_default_logger_severity(4)


def graph(nodes, x, opset, **numbers):
    made = helper.make_graph(
        nodes,
        'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [None] * x.ndim)],
        [numpy_helper.from_array(np.array(values, np.float32), name) for name, values in numbers.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)


def run(model, x):
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {'x': x})[0]


def enlarged(row, scale, mode, centres):
    """The formula along a row: the source of each pixel, and its neighbours' shares."""
    place = np.arange(int(len(row) * scale))
    place = (place + 0.5) / scale - 0.5 if centres else place / scale
    place = np.clip(place, 0, len(row) - 1)
    if mode == 'nearest':
        return row[(np.ceil(place - 0.5) if centres else np.floor(place)).astype(int)]
    return np.interp(place, np.arange(len(row)), row)


def mended(model):
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        if node.op_type == 'Resize':
            node.attribute.append(helper.make_attribute('coordinate_transformation_mode', 'asymmetric'))
            node.attribute.append(helper.make_attribute('nearest_mode', 'floor'))
    return model


row = np.random.default_rng(0).normal(size=16).astype(np.float32)
x = row.reshape(1, 1, 1, 16)
found = {}
for mode, scale in (('linear', 2), ('linear', 8), ('nearest', 2), ('nearest', 1.7)):
    old = graph([helper.make_node('Upsample', ['x', 'scales'], ['y'], mode=mode)], x, 9, scales=[1, 1, 1, scale])
    new = version_converter.convert_version(old, 11)
    before, after, mend = (run(model, x).ravel() for model in (old, new, mended(new)))
    assert np.allclose(before, enlarged(row, scale, mode, False), atol=1e-5), 'opset 9 takes i / scale'
    assert np.allclose(after, enlarged(row, scale, mode, True), atol=1e-5), 'the converter tells the rule now'
    found[f'{mode} by {scale}'] = np.abs(after - before).max()
    print(f'{mode} by {scale}: {np.abs(after - before).max():.2f}, mended {np.abs(mend - before).max():.2f}')
    assert np.allclose(before, mend, atol=1e-6)

x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
for kind in ('Softmax', 'LogSoftmax', 'Hardmax'):
    old = graph([helper.make_node(kind, ['x'], ['y'], axis=1)], x, 11)
    before, after = run(old, x), run(version_converter.convert_version(old, 13), x)
    found[kind] = np.abs(after - before).max()
    sums = f'sum of the first image {before[0].sum():.2f}, then {after[0].sum():.2f}'
    print(f'{kind}, opset 11 to 13: {found[kind]:.2f}; {sums}')

# A network of two classes whose scores are enlarged by 8, and what onnxruntime makes of it before and in quantisation.
scores = np.zeros((1, 2, 8, 8), np.float32)
scores[:, 1] = np.linspace(-1, 1, 8)
numbers = {'weight': np.eye(2).reshape(2, 2, 1, 1), 'scales': [1, 1, 8, 8]}


def network(kind, opset):
    enlarge = helper.make_node(kind, ['z', 'scales'], ['y'], mode='linear')
    nodes = [helper.make_node('Conv', ['x', 'weight'], ['z']), enlarge]
    return graph(nodes, scores, opset, **numbers)


class Images(CalibrationDataReader):
    def __init__(self):
        self.left = [{'x': scores}]

    def get_next(self):
        return self.left.pop() if self.left else None


def quant_pre_processed(model):
    onnx.save(model, 'float.onnx')
    quant_pre_process('float.onnx', 'made.onnx', skip_symbolic_shape=True)
    return onnx.load('made.onnx')


def quantised(model):
    onnx.save(model, 'float.onnx')
    quantize_static('float.onnx', 'made.onnx', Images())
    return onnx.load('made.onnx')


for step, kind, opset in ((quant_pre_processed, 'Resize', 10), (quantised, 'Upsample', 9)):
    old = network(kind, opset)
    new = mended(version_converter.convert_version(old, 11))
    wanted, *others = (run(model, scores).argmax(1) for model in (old, step(old), step(new)))
    first, *edges = (int(np.argmax(labels[0, 0])) for labels in (wanted, *others))
    columns = f'second class from column {first}, then from {edges[0]}, mended from {edges[1]}'
    print(f'{step.__name__}, opset {opset}: {columns}')
    assert edges[0] - first == 3 and abs(edges[1] - first) <= 1, 'the labels no longer move'

assert found['linear by 2'] > 0.1 and found['linear by 8'] > 0.1 and found['nearest by 1.7'] > 0.1
assert found['nearest by 2'] == 0 and found['Softmax'] < 1e-6 and found['LogSoftmax'] < 1e-5
assert found['Hardmax'] == 1, 'Hardmax is converted now'
PY
