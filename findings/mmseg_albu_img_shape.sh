#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2 with albumentations 2.0.8: after Albu the results keep the size that the image had before.
#
# mmseg's Albu runs a pipeline of albumentations on image and labels and puts both back, but not their size. After a
# crop of 20 x 20, img_shape says 40 x 60, and so does the sample that PackSegInputs makes. mmseg's own RandomCrop and
# Resize keep it right. What cuts padding away or makes windows by img_shape then takes positions that are not there.
# Remedy: RandomCrop, Resize and RandomRotate of mmseg for what changes the size, Albu for the rest.
#
# Output seen (shape of the image, and img_shape of the sample):
#   Albu(RandomCrop): (20, 20), (40, 60)
#   Albu(Resize): (30, 90), (40, 60)
#   RandomCrop: (20, 20), (20, 20)
#   Resize: (30, 90), (30, 90)
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93 opencv-python-headless==5.0.0.93 albumentations==2.0.8

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from mmcv.transforms import Resize
from mmseg.datasets.transforms import Albu, PackSegInputs, RandomCrop


def sizes(transform):
    """Shape of the packed image, and what its sample says."""
    image, labels = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    results = dict(
        img=image, gt_seg_map=labels, img_shape=(40, 60), ori_shape=(40, 60), seg_fields=['gt_seg_map'], img_path='a.png'
    )
    packed = PackSegInputs(meta_keys=('img_shape',))(transform(results))
    return tuple(packed['inputs'].shape[1:]), tuple(packed['data_samples'].img_shape)


seen = {
    'Albu(RandomCrop)': sizes(Albu([dict(type='RandomCrop', height=20, width=20)])),
    'Albu(Resize)': sizes(Albu([dict(type='Resize', height=30, width=90)])),
    'RandomCrop': sizes(RandomCrop((20, 20))),
    'Resize': sizes(Resize(scale=(90, 30))),
}
for name, (image, said) in seen.items():
    print(f'{name}: {image}, {said}')
assert all(seen[name][0] == seen[name][1] for name in ('RandomCrop', 'Resize'))
assert all(seen[name][1] == (40, 60) != seen[name][0] for name in list(seen)[:2]), 'the behaviour has changed'
PY
