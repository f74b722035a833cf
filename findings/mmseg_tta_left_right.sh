#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: test-time augmentation by mirror images does not change left and right classes back.
#
# Data sets of people (LIP: left arm, right arm) need RandomFlip(swap_seg_labels=[(14, 15), ...]) in their training: in
# a mirror image the left arm is a right arm. A network that has learned this says so in the mirrored view of a test.
# The segmentor mirrors the scores of that view back, but leaves its channels where they are, even where RandomFlip of
# the test pipeline has swap_seg_labels: the setting reaches the labels alone. SegTTAModel then averages "left" of one
# view with "right" of the other. Both are about equally sure, so that the smaller number wins, or chance. The other
# classes may gain a little, so that the mean hides it. The tta_pipeline of the data sets has such a view (`--tta`).
# Remedy: no mirrored view for such data, or a segmentor whose postprocess_result swaps the channels.
#
# Output seen (an image with both arms; the network is always right about the picture that it sees):
#   truth:           [0, 2, 2, 0, 0, 1, 1, 0]
#   one view:        [0, 2, 2, 0, 0, 1, 1, 0]
#   mirrored alone:  [0, 1, 1, 0, 0, 2, 2, 0]
#   both:            [0, 1, 1, 0, 0, 1, 1, 0]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import torch
from mmengine import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.datasets.transforms import PackSegInputs, RandomFlip
from mmseg.models import EncoderDecoder, SegTTAModel
from mmseg.registry import MODELS
from torch import nn

init_default_scope('mmseg')
HEIGHT, WIDTH, PAIR = 2, 8, [(1, 2)]  # 0 is background, 1 the left arm, 2 the right arm


@MODELS.register_module()
class SeesArms(nn.Module):
    """Scores of a person who looks at us: an arm in the left half of the picture is the right one."""

    def forward(self, x):
        arm, left_half = x[:, :1] > 0, torch.arange(WIDTH) < WIDTH // 2
        return [torch.cat([~arm, arm & ~left_half, arm & left_half], 1).float() * 5]


head = {
    'type': 'FCNHead',
    'in_channels': 3,
    'channels': 3,
    'num_convs': 0,
    'concat_input': False,
    'norm_cfg': None,
    'dropout_ratio': 0,
    'num_classes': 3,
}
model = EncoderDecoder(
    data_preprocessor={'type': 'SegDataPreProcessor'},
    backbone={'type': 'SeesArms'},
    decode_head=head,
    test_cfg=ConfigDict(mode='whole'),
).eval()
model.decode_head.conv_seg.weight.data = torch.eye(3)[..., None, None]
nn.init.zeros_(model.decode_head.conv_seg.bias)
truth = np.tile(np.array([0, 2, 2, 0, 0, 1, 1, 0], np.uint8), (HEIGHT, 1))


def view(mirrored):
    """What the test pipeline makes of the image, with the truth as the training's transform sees it."""
    size = (HEIGHT, WIDTH)
    results = {'img': np.repeat((truth > 0).astype(np.float32)[..., None], 3, 2), 'img_shape': size, 'ori_shape': size}
    results |= {'img_path': '', 'gt_seg_map': truth.copy(), 'seg_fields': ['gt_seg_map']}
    results = RandomFlip(prob=float(mirrored), swap_seg_labels=PAIR)(results)
    labels = results['gt_seg_map'][0].tolist()
    keys = ('img_path', 'img_shape', 'ori_shape', 'flip', 'flip_direction', 'swap_seg_labels')
    return PackSegInputs(meta_keys=keys)(results), labels


def row(*mirrored):
    """Classes of the upper row by one or several views."""
    views = [view(one)[0] for one in mirrored]
    images, samples = [one['inputs'] for one in views], [one['data_samples'] for one in views]
    if len(views) == 1:
        found = model.test_step({'inputs': images, 'data_samples': samples})[0]
    else:
        data = {'inputs': [[image] for image in images], 'data_samples': [[sample] for sample in samples]}
        found = SegTTAModel(model).test_step(data)[0]
    return found.pred_sem_seg.data.squeeze(0)[0].int().tolist()


expected, plain, mirrored, both = truth[0].tolist(), row(False), row(True), row(False, True)
print('truth:          ', expected)
print('one view:       ', plain)
print('mirrored alone: ', mirrored)
print('both:           ', both)
assert plain == expected and view(True)[1] == expected, 'the person is symmetric: its mirror image has the same labels'
assert mirrored == expected[::-1] and both != expected, 'the behaviour has changed'
PY
