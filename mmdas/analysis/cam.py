"""Class activation maps of classifiers with global average pooling (Zhou et al., CVPR 2016, Sec. 2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.ops.clip import split_frames
from mmdas.registry import loaded

from .network import AnalysisError, Batch, ImageNetwork, check_classes


def activation_maps(features: Tensor, weight: Tensor, classes: Tensor) -> Tensor:
    """sum_c w_kc f_c(y, x), the features weighed as the class k does (Eq. 2).

    The mean over the places of a map, with the bias of the class, is the logit of the class.

    Args:
        features: (B, C, h, w), before the pooling.
        weight: (K, C) of the linear layer behind it.
        classes: (B,).

    Returns:
        (B, h, w).
    """
    return torch.einsum('bchw,bc->bhw', features, weight[classes].to(features.dtype))


def class_activation_maps(network: ImageNetwork, batch: Batch, classes: Sequence[int] | None = None) -> Tensor:
    """Class activation maps in the size of the images.

    Of a model of DAS the maps of the frames are carried back to where the image is, as far as its policy can be undone,
    and averaged over those frames that show a place. Where the policy cannot be undone (sums of several warps), the
    maps are averaged as they lie on the frames.

    Args:
        network: a classifier of MMPretrain with ``GlobalAveragePooling`` and ``LinearClsHead``, while it is
            ``evaluating``.
        batch: of ``network.read``.
        classes: one for each image. Default: the predicted ones.

    Returns:
        (B, H, W), float32, of any sign: positive where the image speaks for the class.

    Raises:
        AnalysisError: for another network, or a class that it does not have.
    """
    check_pooled(network)
    model, canvas = network.model, batch.images.shape[-2:]
    with torch.no_grad():
        if classes is None:
            classes = network.logits(batch).argmax(1).tolist()
        chosen = torch.as_tensor(list(classes), device=batch.images.device)
        check_classes(chosen, model.head.fc.out_features)
        features = model.extract_feat(network.inputs(batch), stage='backbone')[-1]
        frames = len(features) // len(batch.images)
        maps = activation_maps(features, model.head.fc.weight, chosen.repeat_interleave(frames)).float()
        maps = on_image(network, split_frames(maps, frames), batch) if frames > 1 else maps
        return F.interpolate(maps[:, None], tuple(canvas), mode='bilinear', align_corners=False)[:, 0]


def on_image(network: ImageNetwork, maps: Tensor, batch: Batch) -> Tensor:
    """Mean of the maps of frames (B, T, h, w) in the place of the image, (B, h, w)."""
    preprocessor = network.preprocessor
    clip = preprocessor.image_to_clip if isinstance(preprocessor, ImageToClip) else None
    try:
        if clip is None:
            return maps.mean(1)
        clip.check_alignable()
    except ValueError:
        return maps.mean(1)
    stacked = torch.stack([maps, torch.ones_like(maps)], dim=2).transpose(0, 1)  # (T, B, 2, h, w)
    canvas = (int(batch.images.shape[-2]), int(batch.images.shape[-1]))
    total, shown = preprocessor.unwarp(stacked, canvas, batch.sizes).sum(0).unbind(1)
    return total / shown  # the reference frame shows every place


def check_pooled(network: ImageNetwork) -> None:
    """Raise an AnalysisError for a network without global average pooling and a linear layer behind it."""
    model = network.model
    pooling = loaded('mmpretrain.models.necks', 'GlobalAveragePooling')
    linear = loaded('mmpretrain.models.heads', 'LinearClsHead')
    neck, head = getattr(model, 'neck', None), getattr(model, 'head', None)
    if not (pooling and isinstance(neck, pooling) and isinstance(head, linear)):
        raise AnalysisError(
            'a class activation map needs a classifier with GlobalAveragePooling and LinearClsHead, the model has '
            f'{type(neck).__name__ if neck is not None else "no neck"} and '
            f'{type(head).__name__ if head is not None else "no head"}; take saliency'
        )
