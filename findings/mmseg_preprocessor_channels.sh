#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2 with onedl-mmengine 0.10.12: which numbers of means fit which images.
#
# mmengine's ImgDataPreprocessor checks that three means meet three channels. mmseg's subclass lost that check:
# a grey image of one channel is broadcast against the means and comes out with three, without a word.
# Four means for a four-channel image (RGB and near infrared, say) are refused by both; one mean is broadcast.
#
# Output seen:
#   3 means, 1 channels, ImgDataPreprocessor: AssertionError: If the mean has 3 values, the input tensor should in
#     shape o
#   3 means, 1 channels, SegDataPreProcessor: (1, 3, 2, 2)
#   4 means, 4 channels, ImgDataPreprocessor: AssertionError: `mean` should have 1 or 3 values, to be compatible with
#     RGB
#   4 means, 4 channels, SegDataPreProcessor: AssertionError: `mean` should have 1 or 3 values, to be compatible with
#     RGB
#   1 means, 4 channels, ImgDataPreprocessor: (1, 4, 2, 2)
#   1 means, 4 channels, SegDataPreProcessor: (1, 4, 2, 2)
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine.model import ImgDataPreprocessor
from mmseg.models import SegDataPreProcessor


def outcome(preprocessor, means, channels):
    image = torch.zeros(channels, 2, 2, dtype=torch.uint8)
    try:
        return tuple(preprocessor(mean=[1.0] * means, std=[2.0] * means)(dict(inputs=[image]))['inputs'].shape)
    except AssertionError as error:
        return f'AssertionError: {str(error)[:60]}'


for means, channels in [(3, 1), (4, 4), (1, 4)]:
    for preprocessor in (ImgDataPreprocessor, SegDataPreProcessor):
        print(f'{means} means, {channels} channels, {preprocessor.__name__}: {outcome(preprocessor, means, channels)}')
assert outcome(SegDataPreProcessor, 3, 1) == (1, 3, 2, 2), 'the behaviour has changed'
assert 'AssertionError' in outcome(ImgDataPreprocessor, 3, 1), 'the behaviour has changed'
assert 'AssertionError' in outcome(SegDataPreProcessor, 4, 4), 'the behaviour has changed'
PY
