#!/usr/bin/env bash
# transformers 5.24.0 with torch 2.14.1: masks of images that were padded to one batch come back squeezed.
#
# The image processors of MaskFormer and Mask2Former resize by the shorter side and pad the images of a batch, on the
# right and at the bottom, to the largest height and width. post_process_semantic_segmentation and
# post_process_panoptic_segmentation then resize the whole map, padding included, to each of `target_sizes`. Nothing
# takes the padding off: the functions get no mask of it, and do not ask for one. A landscape and a portrait image in
# one batch are enough, and a network that is always right is then right in 57 and 74 of 100 pixels. One image alone is
# right, as only the padding to a multiple of 32 is left, which is small. So results depend on the size of the batch,
# and an evaluation in batches is worse than the network for a reason that no one looks for in the last line.
# MMSegmentation and detectron2 cut the padding off before they resize. Remedy: cut by `pixel_mask`, then call the
# function for each image; or a processor with a fixed size, `size={'height': H, 'width': W}`, which pads nothing.
#
# Output seen (scores that name the right class in all pixels; share of pixels that are right afterwards):
#   MaskFormerImageProcessor, 480 x 640, semantic: 1.000
#   MaskFormerImageProcessor, 640 x 480, semantic: 0.999
#   MaskFormerImageProcessor, 480 x 640 and 640 x 480, semantic: 0.740 0.565
#   MaskFormerImageProcessor, 480 x 640 and 640 x 480, padding cut off: 1.000 1.000
#   MaskFormerImageProcessor, 480 x 640 and 640 x 480, fixed size: 0.999 0.999
#   (the panoptic lines, and those of Mask2FormerImageProcessor, say the same)
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 torch==2.14.1 torchvision==0.29.1 transformers==5.24.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import interpolate
from transformers import Mask2FormerImageProcessor, MaskFormerImageProcessor

CLASSES = 3
LANDSCAPE, PORTRAIT = (480, 640), (640, 480)


def label_map(height, width):
    labels = np.zeros((height, width), np.uint8)
    labels[:, width // 2 :] = 1
    labels[height // 2 :, : width // 3] = 2
    return labels


def perfect(processor, maps):
    """What a network gives that knows every label: one query for each class, masks at a quarter of the input's size."""
    images = [np.zeros((*labels.shape, 3), np.uint8) for labels in maps]
    batch = processor(images=images, segmentation_maps=maps, return_tensors='pt')
    height, width = batch['pixel_values'].shape[-2:]
    masks = torch.full((len(maps), CLASSES, height, width), -10.0)
    for image, (parts, names) in enumerate(zip(batch['mask_labels'], batch['class_labels'])):
        for part, name in zip(parts, names):
            masks[image, name] = part * 20.0 - 10.0
    classes = torch.full((len(maps), CLASSES, CLASSES + 1), -10.0)
    classes[:, range(CLASSES), range(CLASSES)] = 10.0
    masks = interpolate(masks, (height // 4, width // 4), mode='bilinear', antialias=True)
    return batch, SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks)


def semantic(processor, scores, sizes):
    return [found.numpy() for found in processor.post_process_semantic_segmentation(scores, target_sizes=sizes)]


def panoptic(processor, scores, sizes):
    maps = []
    for found in processor.post_process_panoptic_segmentation(scores, target_sizes=sizes, label_ids_to_fuse=set()):
        names = np.full(CLASSES + 2, 255)
        for segment in found['segments_info']:
            names[segment['id']] = segment['label_id']
        maps.append(names[found['segmentation'].numpy().astype(int)])
    return maps


def cut(processor, batch, scores, sizes):
    """The remedy: each image for itself, without its padding."""
    found = []
    for image, size in enumerate(sizes):
        kept = batch['pixel_mask'][image].bool()
        masks = interpolate(scores.masks_queries_logits[[image]], kept.shape, mode='bilinear')
        masks = masks[..., kept.any(1), :][..., kept.any(0)]
        one = SimpleNamespace(class_queries_logits=scores.class_queries_logits[[image]], masks_queries_logits=masks)
        found += semantic(processor, one, [size])
    return found


def right(found, maps):
    return [float((part == labels).mean()) for part, labels in zip(found, maps)]


def told(name, shares):
    print(f'{name}:', ' '.join(f'{share:.3f}' for share in shares))
    return shares


alone, together, mended = [], [], []
for kind in (MaskFormerImageProcessor, Mask2FormerImageProcessor):
    processor = kind()
    for sizes in ([LANDSCAPE], [PORTRAIT], [LANDSCAPE, PORTRAIT]):
        maps = [label_map(*size) for size in sizes]
        batch, scores = perfect(processor, maps)
        text = f'{kind.__name__}, {" and ".join(f"{size[0]} x {size[1]}" for size in sizes)}'
        shares = told(f'{text}, semantic', right(semantic(processor, scores, sizes), maps))
        shares = shares + told(f'{text}, panoptic', right(panoptic(processor, scores, sizes), maps))
        (alone if len(sizes) == 1 else together).extend(shares)
    mended += told(f'{text}, padding cut off', right(cut(processor, batch, scores, sizes), maps))
    fixed = kind(size={'height': 512, 'width': 512})
    mended += told(f'{text}, fixed size', right(semantic(fixed, perfect(fixed, maps)[1], sizes), maps))

assert min(alone) > 0.97 and min(mended) > 0.97, 'single images, cut padding and fixed sizes were right'
assert max(together) < 0.8, 'padding is taken off now'
PY
