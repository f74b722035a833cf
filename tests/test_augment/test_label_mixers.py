"""Mixup and CutMix for classification: labels are mixed in the shares of the pixels."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.models import CutMix as HostCutMix
from mmpretrain.models import Mixup as HostMixup
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.augment import AugmentChain, CutMix, Mixup, PuzzleMix, SegCutMix

CLASSES = 6
KINDS = [Mixup, CutMix]
each_kind = pytest.mark.parametrize('kind', KINDS)


def make_batch(count: int = CLASSES, size=(12, 16)):
    """Images of one value each, which is their number and their class."""
    images = torch.arange(float(count)).view(-1, 1, 1, 1).repeat(1, 3, *size)
    return images, [DataSample().set_gt_label(number % CLASSES) for number in range(count)]


def scores_of(samples):
    return torch.stack([sample.gt_score for sample in samples])


@each_kind
@pytest.mark.parametrize('seed', range(4))
def test_scores_are_the_shares_of_the_pixels(kind, seed):
    torch.manual_seed(seed)
    images, samples = make_batch()
    mixed, made = kind(alpha=1.0, num_classes=CLASSES)(images, samples)
    scores = scores_of(made)
    assert torch.allclose(scores.sum(1), torch.ones(CLASSES))
    assert torch.allclose(scores @ torch.arange(float(CLASSES)), mixed.mean((1, 2, 3)), atol=1e-5)
    assert ((scores > 0).sum(1) == 2).sum() >= 4  # a box may be empty


def test_cut_mix_has_whole_pixels_of_two_images():
    images, samples = make_batch()
    mixed, made = CutMix(num_classes=CLASSES)(images, samples)
    for number, (image, score) in enumerate(zip(mixed, scores_of(made), strict=True)):
        values = set(image.unique().tolist())
        assert number in values or score[number] == 0
        assert values == set(score.nonzero().flatten().tolist()) and len(values) <= 2
        for value in values:
            assert (image == value).float().mean() == pytest.approx(score[int(value)].item(), abs=1e-6)


@pytest.mark.parametrize(('kind', 'host'), [(Mixup, HostMixup), (CutMix, HostCutMix)])
@pytest.mark.parametrize('alpha', [0.2, 1.0])
def test_shares_are_distributed_as_those_of_mmpretrain(kind, host, alpha):
    np.random.seed(0)
    images, samples = make_batch(1000, (40, 40))
    pair, mixer = images[:2, :1], host(alpha=alpha)
    theirs = np.array([mixer.mix(pair.clone(), torch.eye(2))[1][0, 0].item() for _ in range(2000)])
    ours = kind(alpha=alpha).mix(images[:, :1], samples)[2].numpy()
    theirs, ours = theirs[theirs < 1], ours[ours < 1]  # half of their images are their own partners
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.quantile(ours, quantile) == pytest.approx(np.quantile(theirs, quantile), abs=0.07)


@each_kind
def test_partner_is_any_other_image(kind):
    images, samples = make_batch(3)
    drawn = torch.stack([kind().mix(images, samples)[1] for _ in range(60)])
    assert [set(column.tolist()) for column in drawn.T] == [{1, 2}, {0, 2}, {0, 1}]


@each_kind
def test_so_many_images_are_mixed_as_the_probability_says(kind):
    images, samples = make_batch(2000, (4, 4))
    partners = kind(probability=0.3).mix(images, samples)[1]
    assert (partners != torch.arange(2000)).float().mean().item() == pytest.approx(0.3, abs=0.04)


@each_kind
@pytest.mark.parametrize(('probability', 'count'), [(0.0, 4), (1.0, 1)], ids=['never', 'a batch of one'])
def test_scores_without_a_mixture_are_those_of_the_label(kind, probability, count):
    images, samples = make_batch(count)
    mixed, made = kind(probability=probability, num_classes=CLASSES)(images, samples)
    assert torch.equal(mixed, images)
    assert torch.equal(scores_of(made), torch.eye(CLASSES)[:count])


@each_kind
def test_seed_decides_and_the_batch_itself_stays(kind):
    def mix(seed):
        torch.manual_seed(seed)
        return kind(alpha=1.0, num_classes=CLASSES)(images, samples)

    images, samples = make_batch()
    before = images.clone()
    (first, of_first), (second, of_second) = mix(0), mix(0)
    assert torch.equal(first, second) and torch.equal(scores_of(of_first), scores_of(of_second))
    assert not torch.equal(first, mix(1)[0])
    assert torch.equal(images, before)
    assert not any('gt_score' in sample for sample in samples)
    assert [sample.gt_label.item() for sample in of_first] == list(range(CLASSES))


def test_scores_that_are_there_are_mixed_as_they_are():
    images, samples = make_batch()
    smooth = 0.9 * torch.eye(CLASSES) + 0.1 / CLASSES
    for sample, score in zip(samples, smooth, strict=True):
        sample.set_gt_score(score)
    made = scores_of(Mixup(alpha=1.0)(images, samples)[1])
    assert torch.allclose(made.sum(1), torch.ones(CLASSES))
    assert made.min() == pytest.approx(0.1 / CLASSES)


def model_of(head=None, backbone=None, **preprocessor):
    model = nn.Module()
    model.head, model.backbone = head or nn.Module(), backbone or nn.Module()
    model.head.loss_module = nn.Module()
    model.head.loss_module.forward = lambda logits, target, avg_factor: nn.functional.cross_entropy(logits, target)
    model.data_preprocessor = nn.Module()
    vars(model.data_preprocessor).update(preprocessor)
    return model


def with_number(classes):
    part = nn.Module()
    part.num_classes = classes
    return part


@pytest.mark.parametrize(
    'model', [model_of(with_number(7)), model_of(backbone=with_number(7))], ids=['head', 'network']
)
def test_model_tells_the_number_of_classes(model):
    mixup = Mixup()
    mixup.use_model(model)
    assert scores_of(mixup(*make_batch())[1]).shape == (CLASSES, 7)


class TestErrors:
    @each_kind
    @pytest.mark.parametrize('options', [dict(probability=1.5), dict(alpha=0.0), dict(alpha=-1.0), dict(num_classes=0)])
    def test_settings_outside_their_range(self, kind, options):
        ((name, value),) = options.items()
        with pytest.raises(ValueError, match=f'{name} of {kind.__name__} must be .*, got {value}'):
            kind(**options)

    @each_kind
    def test_segmentation_is_told_what_moves_labels(self, kind):
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 4, 4)))
        with pytest.raises(ValueError, match=f'{kind.__name__} mixes the scores .* one label; take mmdas.SegCutMix'):
            kind()(torch.zeros(2, 3, 4, 4), [sample] * 2)

    def test_two_mixers_in_a_chain(self):
        with pytest.raises(ValueError, match=r'augments\[0\] \(Mixup\) and augments\[2\] \(CutMix\) mix labels'):
            AugmentChain([dict(type='mmdas.Mixup'), dict(type='mmdas.HideAndSeek'), CutMix()])
        AugmentChain([SegCutMix(), PuzzleMix()])  # labels of pixels are moved, not mixed

    def test_batch_augments_beside_a_mixer(self):
        with pytest.raises(ValueError, match='Mixup mixes labels, and so do the batch_augments'):
            Mixup().use_model(model_of(batch_augments=object()))

    def test_unknown_number_of_classes(self):
        with pytest.raises(ValueError, match=r"neither the head .* set .*type='mmdas.CutMix', num_classes=K"):
            CutMix()(*make_batch())

    def test_more_classes_than_the_head_has(self):
        with pytest.raises(ValueError, match=r'gt_label of the samples is \[0, 1, 2, 3, 4, 5\], but num_classes is 5'):
            Mixup(num_classes=5)(*make_batch())

    @pytest.mark.parametrize('labels', [[0, 2], None])
    def test_samples_of_several_labels_or_none(self, labels):
        samples = [DataSample() if labels is None else DataSample().set_gt_label(labels) for _ in range(2)]
        with pytest.raises(ValueError, match='Mixup mixes images of one class each, but gt_label'):
            Mixup(num_classes=3)(torch.zeros(2, 3, 4, 4), samples)
