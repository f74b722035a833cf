#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: test-time augmentation makes a one-channel head predict foreground everywhere.
#
# The segmentor stores the sigmoid of a one-channel head under `seg_logits`. SegTTAModel takes the sigmoid of that
# again, and the sigmoid of a probability is at least 0.5. The default threshold is 0.3, so each pixel passes.
# The image is 5 in its upper row and -5 in its lower row; the head hands it on as the logit. One view, no flip:
# merging a single prediction should change nothing.
#
# Output seen:
#   plain:    [[[1.0, 1.0], [0.0, 0.0]]]
#   one view: [[[1.0, 1.0], [1.0, 1.0]]]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models import EncoderDecoder, SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

init_default_scope('mmseg')


@MODELS.register_module()
class Unchanged(nn.Module):
    """Backbone that returns the image."""

    def forward(self, x):
        return [x]


head = dict(
    type='FCNHead',
    in_channels=1,
    channels=1,
    num_convs=0,
    concat_input=False,
    norm_cfg=None,
    dropout_ratio=0,
    num_classes=2,
    out_channels=1,
    threshold=0.3,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
)
model = EncoderDecoder(
    data_preprocessor=dict(type='SegDataPreProcessor'),
    backbone=dict(type='Unchanged'),
    decode_head=head,
    test_cfg=ConfigDict(mode='whole'),
).eval()
nn.init.ones_(model.decode_head.conv_seg.weight)
nn.init.zeros_(model.decode_head.conv_seg.bias)


def sample():
    return SegDataSample(metainfo=dict(img_path='', ori_shape=(2, 2), img_shape=(2, 2)))


image = torch.tensor([[[5.0, 5.0], [-5.0, -5.0]]])
plain = model.test_step(dict(inputs=[image], data_samples=[sample()]))[0]
merged = SegTTAModel(model).test_step(dict(inputs=[[image]], data_samples=[[sample()]]))[0]
print('plain:   ', plain.pred_sem_seg.data.tolist())
print('one view:', merged.pred_sem_seg.data.tolist())
assert plain.pred_sem_seg.data.flatten().tolist() == [1, 1, 0, 0]
assert merged.pred_sem_seg.data.flatten().tolist() == [1, 1, 1, 1], 'the behaviour has changed'
PY
