#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2, onedl-mmpretrain 1.3.6: nine installed configs do not train as their names and lines say.
#
# A config that inherits is read without a word where it sets a variable that only its base has used, or a number that
# has to agree with another one and does not. What each of these does:
# 1. knet-s3_swin-l (640x640) and resnest200 (320 pixels, RandAugment) write pipelines of their own into a variable,
#    but the data loaders of their base have the old ones: crops of 512, padded to 640, and of 224 without RandAugment.
# 2. deeplabv3plus of Mapillary (1280x1280) has crops of 512x1024, padded to 1280x1280: two thirds are padding.
# 3. beit-large runs for 320,000 iterations, as it sums two gradients; its schedule ends at 160,000 with a rate of 0,
#    so that the second half of the training changes nothing. The rate of ocrnet_r101 (80k) is the smallest from 40,000.
# 4. The cosine of resnet50 on ImageNet-21k is for 100 epochs of 90, the only step of LeNet is at epoch 15 of 5.
# 5. vgg16 on VOC 2007 multiplies the rate of '.backbone.classifier' by 10. No name has a point before "backbone", so
#    nothing is multiplied; MMEngine says nothing of keys without a parameter.
# Who compares with these configs, or inherits from them, has other settings than the paper, or waits for nothing.
# Remedy: set pipelines in the data loaders, and look at the printed config, not at the file.
#
# Output seen:
#   knet-s3_swin-l 640x640: crops of (512, 512), padded to (640, 640); its own variable has (640, 640)
#   resnest200: crops of 224 with 0 RandAugment; its own variable has 320 with 1
#   deeplabv3plus mapillary 1280x1280: crops of (512, 1024), padded to (1280, 1280)
#   beit-large: 320000 iterations, schedule to 160000, rate then 0.0
#   ocrnet_r101 80k: 80000 iterations, schedule to 40000, rate then 0.0002
#   resnet50 in21k: 90 epochs, schedule to 100
#   lenet5: 5 epochs, milestones [15]
#   vgg16 voc07: 2 parameters with 'backbone.classifier.6' in their names, 0 with '.backbone.classifier'
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy==6.3.1 \
    onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 onedl-mmpretrain==1.3.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY' 2>/dev/null
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config


def read(package, name):
    return Config.fromfile(Path(find_spec(package).origin).parent / '.mim' / 'configs' / name)


def crop(pipeline):
    """Size of the crops of a pipeline."""
    (step,) = (step for step in pipeline if step.type in ('RandomCrop', 'RandomResizedCrop', 'EfficientNetRandomCrop'))
    return step.get('crop_size') or step.scale


def count(pipeline):
    return sum(step.type == 'RandAugment' for step in pipeline)


def pipeline(cfg):
    return cfg.train_dataloader.dataset.pipeline


knet = read('mmseg', 'knet/knet-s3_swin-l_upernet_8xb2-adamw-80k_ade20k-640x640.py')
size = knet.model.data_preprocessor.size
print(f'knet-s3_swin-l 640x640: crops of {crop(pipeline(knet))}, padded to {size};', end=' ')
print(f'its own variable has {crop(knet.train_pipeline)}')
assert crop(pipeline(knet)) == (512, 512) and size == crop(knet.train_pipeline) == (640, 640)

resnest = read('mmpretrain', 'resnest/resnest200_64xb32_in1k.py')
used, meant = ((crop(steps), count(steps)) for steps in (pipeline(resnest), resnest.train_pipeline))
print('resnest200: crops of {} with {} RandAugment; its own variable has {} with {}'.format(*used, *meant))
assert used == (224, 0) and meant == (320, 1)

mapillary = read('mmseg', 'deeplabv3plus/deeplabv3plus_r50-d8_4xb2-300k_mapillay_v1_65-1280x1280.py')
size = mapillary.model.data_preprocessor.size
print(f'deeplabv3plus mapillary 1280x1280: crops of {crop(pipeline(mapillary))}, padded to {size}')
assert crop(pipeline(mapillary)) == (512, 1024) and size == (1280, 1280)

for name, file, wanted in (
    ('beit-large', 'beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640.py', (320000, 160000, 0.0)),
    ('ocrnet_r101 80k', 'ocrnet/ocrnet_r101-d8_8xb2-80k_cityscapes-512x1024.py', (80000, 40000, 2e-4)),
):
    cfg = read('mmseg', file)
    last = cfg.param_scheduler[-1]
    found = cfg.train_cfg.max_iters, last.end, last.eta_min
    print('{}: {} iterations, schedule to {}, rate then {}'.format(name, *found))
    assert found == wanted

cosine = read('mmpretrain', 'resnet/resnet50_8xb128_coslr-90e_in21k.py')
end = cosine.param_scheduler[-1].end
print(f'resnet50 in21k: {cosine.train_cfg.max_epochs} epochs, schedule to {end}')
assert cosine.train_cfg.max_epochs == 90 and end == 100

lenet = read('mmpretrain', 'lenet/lenet5_mnist.py')
print(f'lenet5: {lenet.train_cfg.max_epochs} epochs, milestones {lenet.param_scheduler.milestones}')
assert min(lenet.param_scheduler.milestones) > lenet.train_cfg.max_epochs

import mmpretrain.models  # noqa: E402, F401  registers the networks
import torch  # noqa: E402
from mmengine.registry import MODELS, DefaultScope  # noqa: E402

vgg = read('mmpretrain', 'vgg/vgg16_8xb16_voc.py')
vgg.model.backbone.pop('init_cfg')
with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
    names = [name for name, _ in MODELS.build(vgg.model).named_parameters()]
((key, options),) = vgg.optim_wrapper.paramwise_cfg.custom_keys.items()
hits = [sum(part in name for name in names) for part in ('backbone.classifier.6', key)]
print(f'vgg16 voc07: {hits[0]} parameters with {"backbone.classifier.6"!r} in their names, {hits[1]} with {key!r}')
assert hits == [2, 0] and options.lr_mult == 10, 'the behaviour has changed'
PY
