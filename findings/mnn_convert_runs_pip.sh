#!/usr/bin/env bash
# MNN 3.6.1: each conversion by mnnconvert first runs `pip install -U aliyun-log-python-sdk`, and tells a server of it.
#
# mnnconvert of the Python package turns an ONNX file into one of MNN. When it starts it imports a module that logs the
# use of the tool: with which options, how large the model was, on which machine. Where the package for that is missing,
# it is installed by a shell, with the first `pip` of the PATH. That need not be the one of the environment in which
# mnnconvert lies: called by its path, as in a script, it changes the system's Python, with "-U" for what is there. One
# line among many of the converter says so. The server is asked for a key at each start; without a network one waits
# for that to fail. mnnquant is the same. The converter itself needs none of this.
# Remedy: the converter from Python, MNN.tools is not imported then: `import _tools; _tools.mnnconvert([...])`; or a
# `pip` that does nothing in front of the PATH, as below. The conversion then goes on without the log.
#
# Output seen:
#   mnnconvert ran: pip install -U aliyun-log-python-sdk
#   the model was converted: True
#   by _tools.mnnconvert ran: nothing, the model was converted: True
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 onnx==1.23.2 MNN==3.6.1
cd "$tmp"
mkdir first
printf '#!/bin/sh\necho "$@" >> %s/calls\nexit 1\n' "$tmp" > first/pip
chmod +x first/pip
export PATH="$tmp/first:$PATH"

"$tmp/venv/bin/python" - <<'PY'
import onnx
from onnx import TensorProto, helper

values = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4]) for name in 'xy')
graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'graph', *([value] for value in values))
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9), 'model.onnx')
PY
convert=(mnnconvert -f ONNX --modelFile model.onnx --bizCode finding --MNNModel)
"$tmp/venv/bin/mnnconvert" "${convert[@]:1}" first.mnn > log 2>&1 || true
mv calls calls.command
"$tmp/venv/bin/python" -c 'import sys, _tools; _tools.mnnconvert(sys.argv[1:])' "${convert[@]}" second.mnn >> log 2>&1 || true

"$tmp/venv/bin/python" - <<'PY'
from pathlib import Path

(call,) = set(Path('calls.command').read_text().splitlines())
print('mnnconvert ran: pip', call)
print('the model was converted:', Path('first.mnn').is_file())
quiet = not Path('calls').exists()
print(f'by _tools.mnnconvert ran: {"nothing" if quiet else "pip"}, the model was converted: {Path("second.mnn").is_file()}')
assert call == 'install -U aliyun-log-python-sdk' and Path('first.mnn').is_file(), 'the behaviour has changed'
assert quiet and Path('second.mnn').is_file()
PY
