"""What augments share that mix images and give them the scores of several classes."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Beta

from .checks import check_positive, check_share
from .label_maps import map_names
from .soft_scores import reason_against_scores


class LabelMixer:
    """A step on batches of classification that mixes images of the batch, and their labels in the same shares.

    Every sample gets ``gt_score``, mixed or not, so that a batch has scores of one kind. The loss of the head has to
    take them, see :mod:`mmdas.augment.soft_scores`. ``gt_label`` stays that of the image itself.

    Args:
        alpha: > 0; the shares of the images have the distribution Beta(alpha, alpha). 1 is uniform; small values
            leave most images nearly as they are.
        probability: that an image is mixed, in [0, 1].
        num_classes: K. Default: that of the model's head, which a training tells, or of the samples.

    Raises:
        ValueError: for values outside their range.
    """

    mixes_labels = True  # a chain takes one of these
    remedy = 'take mmdas.SegCutMix or mmdas.PuzzleMix, which give each pixel the label that it comes with'

    def __init__(self, alpha: float, probability: float, num_classes: int | None) -> None:
        name = type(self).__name__
        check_positive(alpha, f'alpha of {name}')
        check_share(probability, f'probability of {name}')
        if num_classes is not None and (not isinstance(num_classes, int) or num_classes < 1):
            raise ValueError(f'num_classes of {name} must be a whole number of at least 1, got {num_classes!r}')
        self.alpha, self.probability, self.num_classes = alpha, probability, num_classes

    def use_model(self, model: nn.Module) -> None:
        """Take the number of classes from the model, where nothing else says it.

        Raises:
            ValueError: if the data preprocessor mixes labels, too, or the head does not take scores.
        """
        name = type(self).__name__
        if getattr(getattr(model, 'data_preprocessor', None), 'batch_augments', None) is not None:
            raise ValueError(
                f'{name} mixes labels, and so do the batch_augments of this config (data_preprocessor.batch_augments, '
                'or augments of model.train_cfg); set model.train_cfg=None and leave out batch_augments, or leave out '
                f'{name}'
            )
        head = getattr(model, 'head', None)
        reason = None if head is None else reason_against_scores(head)
        if reason:
            raise ValueError(f'{name} gives samples the scores of several classes, but {reason}')
        if self.num_classes is None:  # some networks end with their classes, and have a head without weights
            places = (head, getattr(model, 'backbone', None))
            found = (getattr(place, 'num_classes', None) for place in places)
            self.num_classes = next((count for count in found if isinstance(count, int) and count > 0), None)

    def __call__(self, images: Tensor, samples: Sequence | None) -> tuple[Tensor, list]:
        """Images (B, C, H, W) and samples -> new ones, mixed.

        Raises:
            ValueError: for samples without one class each, with label maps, or of unknown classes.
        """
        samples = list(samples or ())
        scores = self.scores(samples).to(images.device)
        images, partners, shares = self.mix(images, samples)
        shares = shares.to(scores)[:, None]
        mixed = shares * scores + (1 - shares) * scores[partners.to(scores.device)]
        return images, [with_score(sample, score) for sample, score in zip(samples, mixed, strict=True)]

    def mix(self, images: Tensor, samples: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed images (B, C, H, W), the partner (B,) of each and the share (B,) that it keeps of itself."""
        raise NotImplementedError

    def draw_shares(self, count: int) -> Tensor:
        """Shares (B,) of a batch, by the random numbers of PyTorch on the CPU."""
        return Beta(self.alpha, self.alpha).sample((count,))

    def draw_partners(self, count: int) -> Tensor:
        """Another image for each of a batch, any of them alike; the image itself where it is not mixed."""
        places = torch.arange(count)
        wanted = torch.rand(count) < self.probability
        others = (places + torch.randint(1, max(count, 2), (count,))) % count
        return torch.where(wanted, others, places)

    def scores(self, samples: Sequence) -> Tensor:
        """Scores (B, K) of samples: their own, or 1 for their class."""
        name = type(self).__name__
        if map_names(samples):
            raise ValueError(
                f'{name} mixes the scores of classes, and label maps have none: a pixel has one label; {self.remedy}'
            )
        if samples and 'gt_score' in samples[0]:
            return torch.stack([sample.gt_score.float() for sample in samples])
        labels = [sample.get('gt_label') for sample in samples]
        if not samples or any(label is None or label.numel() != 1 for label in labels):
            found = [None if label is None else label.tolist() for label in labels]
            raise ValueError(f'{name} mixes images of one class each, but gt_label of the samples is {found}')
        classes = self.num_classes or samples[0].get('num_classes')
        if classes is None:
            raise ValueError(
                f'{name} does not know the number of classes, which neither the head nor the samples tell; set '
                f"data_preprocessor.augments=[dict(type='mmdas.{name}', num_classes=K)]"
            )
        return one_hot(torch.cat(labels), classes, name)


def one_hot(labels: Tensor, classes: int, name: str) -> Tensor:
    """Scores (B, K) of labels (B,).

    Raises:
        ValueError: for a label outside 0..K-1.
    """
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f'{name}: gt_label of the samples is {labels.tolist()}, but num_classes is {classes}')
    return F.one_hot(labels.long(), classes).float()


def with_score(sample: Any, score: Tensor) -> Any:
    """A new sample with scores of all classes."""
    made = sample.new()
    made.set_gt_score(score)
    return made
