#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: ResNet(...).eval() is None.
#
# torch's Module.train() returns the module, and eval() returns what train(False) returns. The backbones that freeze
# stages or keep batch norm fixed override train() without a return. So the usual chain `model = ResNet(18).eval()`
# leaves None. Backbones without an own train() (MSCAN below) return themselves.
#
# Output seen:
#   eval() is None: {'ResNet': True, 'MobileNetV2': True, 'SwinTransformer': True, 'CGNet': True, 'MSCAN': False}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
from mmengine.registry import init_default_scope
from mmseg.models import backbones

init_default_scope('mmseg')
seen = {
    name: backbones.__dict__[name](**settings).eval() is None
    for name, settings in [
        ('ResNet', dict(depth=18)),
        ('MobileNetV2', {}),
        ('SwinTransformer', {}),
        ('CGNet', {}),
        ('MSCAN', {}),
    ]
}
print('eval() is None:', seen)
assert seen.pop('MSCAN') is False and all(seen.values()), 'the behaviour has changed'
PY
