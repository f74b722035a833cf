"""What is measured of a trained model beside its score: views at test time, one frame alone, what the gates do."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.evaluation import IoUMetric
from torch import Tensor, nn

from mmdas.analysis import noting_gates
from mmdas.models.fusion import GatedFusion
from mmdas.ops.affine import translate_x, translate_y
from mmdas.ops.clip import clip_to_frames, reference_frame, split_frames

from .recorder import seconds

Predict = Callable[[nn.Module, Tensor, list], Tensor]
VIEWS = (2, 4, 8)  # numbers of views that the rows are tested with


def predict(model: nn.Module, inputs: Tensor, samples: list) -> Tensor:
    """Scores (B, K), or logits (B, K, H, W) at the size of the input."""
    if hasattr(model, 'encode_decode'):
        return model.encode_decode(inputs, [sample.metainfo for sample in samples])
    return model(inputs, mode='tensor')


def by_windows(model: nn.Module, inputs: Tensor, samples: list) -> Tensor:
    """Logits of slide inference, whose windows have the size of the training's crops and overlap by a third."""
    before, crop = model.test_cfg, model.data_preprocessor.size
    model.test_cfg = ConfigDict(mode='slide', crop_size=crop, stride=tuple(2 * side // 3 for side in crop))
    logits = model.inference(inputs, [sample.metainfo for sample in samples])
    model.test_cfg = before
    return logits


class Timed:
    """A predictor that counts the seconds and images it has had."""

    def __init__(self, predictor: Predict) -> None:
        self.predictor = predictor
        self.seconds, self.images = 0.0, 0

    def __call__(self, model: nn.Module, inputs: Tensor, samples: list) -> Tensor:
        start = seconds()
        result = self.predictor(model, inputs, samples)
        self.seconds += seconds() - start
        self.images += len(inputs)
        return result

    @property
    def milliseconds(self) -> float:
        """Milliseconds an image."""
        return round(1e3 * self.seconds / self.images, 3)


@torch.no_grad()
def score(model: nn.Module, loader: Iterable[dict], predictor: Predict = predict) -> float:
    """Top-1 accuracy or mIoU, in percent, of what a predictor makes of the model."""
    areas, correct, total = 0, 0, 0
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        inputs, samples = data['inputs'], data['data_samples']
        predictions = predictor(model, inputs, samples)
        if predictions.ndim == 2:
            labels = torch.cat([sample.gt_label for sample in samples])
            correct += int((predictions.argmax(1) == labels).sum())
            total += len(labels)
            continue
        for logits, sample in zip(predictions, samples, strict=True):
            label = sample.gt_sem_seg.data[0]
            logits = F.interpolate(logits[None], label.shape, mode='bilinear', align_corners=False)[0]
            intersection, union, _, _ = IoUMetric.intersect_and_union(logits.argmax(0), label, len(logits), 255)
            areas = areas + torch.stack([intersection, union]).double()
    return 100 * correct / total if total else float(100 * (areas[0] / areas[1]).nanmean())


def flip(images: Tensor) -> Tensor:
    """Mirror image."""
    return images.flip(-1)


def classification_views(images: Tensor, count: int) -> list[Tensor]:
    """The image, its mirror image, and both moved by a sixteenth of the side in the four directions."""
    step = images.new_full((len(images),), 1 / 16)
    mirror = flip(images)
    views = [images, mirror, translate_x(images, step), translate_x(mirror, -step)]
    views += [
        translate_y(images, step),
        translate_y(mirror, -step),
        translate_x(images, -step),
        translate_y(images, -step),
    ]
    return views[:count]


def image_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """The image that a clip was made of, which is its reference frame, or the input that is an image."""
    num_frames = getattr(model.data_preprocessor, 'num_frames', 1)
    if getattr(model.data_preprocessor, 'gives_images', False):
        return inputs
    frames = split_frames(clip_to_frames(inputs, num_frames), num_frames)
    return frames[:, reference_frame(num_frames)]


def predict_view(model: nn.Module, view: Tensor, samples: list) -> Tensor:
    """As ``predict``, of an image, whose clip is made here where the model wants one."""
    if hasattr(model.data_preprocessor, 'to_clip') and not model.data_preprocessor.gives_images:
        view = model.data_preprocessor.to_clip(view)
    return predict(model, view, samples)


def with_views(count: int) -> Predict:
    """Test-time augmentation with so many views of the image: the mean of their scores."""

    def predictor(model: nn.Module, inputs: Tensor, samples: list) -> Tensor:
        image = image_of(model, inputs)
        if not hasattr(model, 'encode_decode'):
            scores = [predict_view(model, view, samples).softmax(1) for view in classification_views(image, count)]
            return torch.stack(scores).mean(0)
        total = 0
        for scale in (1.0, 1.25, 0.75, 1.5)[: count // 2]:  # as MMSegmentation's: scales, each with its mirror image
            view = F.interpolate(image, scale_factor=scale, mode='bilinear', align_corners=False)
            for turn in (lambda x: x, flip):
                logits = turn(predict_view(model, turn(view), samples))
                total = total + F.interpolate(logits, image.shape[-2:], mode='bilinear').softmax(1)
        return total

    return predictor


def poolings(model: nn.Module) -> list[nn.Module]:
    """The modules of a model that pool over the frames."""
    return [module.temporal_pooling for module in model.modules() if hasattr(module, 'temporal_pooling')]


def reference_alone(model: nn.Module, inputs: Tensor, samples: list) -> Tensor:
    """Prediction of the reference frame, after it was fused with its neighbours."""
    modes = [pooling.mode for pooling in poolings(model)]
    for pooling in poolings(model):
        pooling.mode = 'reference'
    result = predict(model, inputs, samples)
    for pooling, mode in zip(poolings(model), modes, strict=True):
        pooling.mode = mode
    return result


@torch.no_grad()
def mean_gate(model: nn.Module, loader: Iterable[dict]) -> float | None:
    """Mean of |g| over the gates of all fusion modules on one batch: 0 says that nothing is shifted."""
    if not any(isinstance(module, GatedFusion) for module in model.modules()):
        return None
    data = model.data_preprocessor(next(iter(loader)), False)
    with noting_gates(model) as noted:
        predict(model, data['inputs'], data['data_samples'])
    gates = [float(call.abs().mean()) for calls in noted.values() for call in calls]
    return round(sum(gates) / len(gates), 4)
