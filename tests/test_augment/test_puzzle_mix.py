"""Puzzle Mix as a step on batches: scores are the shares of the mask, labels of pixels move with them."""

import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.augment import PuzzleMix

CANVAS = (16, 24)
SIZES = [(16, 24), (9, 24), (16, 10), (5, 4)]


class Preprocessor(nn.Module):
    def to_inputs(self, images):
        return images


class Fixed(nn.Module):
    """A model whose saliency is given, however its images look."""

    def __init__(self, saliency: torch.Tensor) -> None:
        super().__init__()
        self.saliency, self.data_preprocessor, self.modes = saliency, Preprocessor(), []

    def loss(self, inputs, samples):
        self.modes.append(self.training)
        self.asked = [sample.number for sample in samples if 'number' in sample] or list(range(len(samples)))
        saliency = self.saliency[self.asked][:, None]
        return (inputs * nn.functional.interpolate(saliency, inputs.shape[-2:])).sum()

    def parse_losses(self, loss):
        return loss, {}


def step_with(saliency=None, count: int = 4, **options) -> PuzzleMix:
    step = PuzzleMix(num_classes=8, blocks=(2, 4), **options)
    step.use_model(Fixed(torch.rand(count, *CANVAS) ** 4 if saliency is None else saliency))
    return step


def cls_batch(count: int = 4):
    """Images of one value each, which is their class."""
    images = torch.arange(float(count)).view(-1, 1, 1, 1).repeat(1, 3, *CANVAS)
    return images, [DataSample(metainfo=dict(number=number)).set_gt_label(number) for number in range(count)]


def seg_batch(sizes=SIZES):
    """Each pixel has a number of its own in the batch, and its label is 1000 more; padding has -1 and 255."""
    images, samples = torch.full((len(sizes), 3, *CANVAS), -1.0), []
    for number, (height, width) in enumerate(sizes):
        pixels = 1 + number * 500 + torch.arange(height * width).view(1, height, width)
        labels = torch.full((1, *CANVAS), 255)
        images[number, :, :height, :width], labels[:, :height, :width] = pixels, 1000 + pixels
        sample = SegDataSample(metainfo=dict(padding_size=(0, CANVAS[1] - width, 0, CANVAS[0] - height)))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return images, samples


def scores_of(samples):
    return torch.stack([sample.gt_score for sample in samples])


@pytest.mark.parametrize('levels', [2, 3, 4])
@pytest.mark.parametrize('seed', range(4))
def test_scores_are_the_shares_of_the_pixels(levels, seed):
    torch.manual_seed(seed)
    images, samples = cls_batch()
    mixed, made = step_with(levels=levels)(images, samples)
    scores = scores_of(made)
    assert torch.allclose(scores.sum(1), torch.ones(4))
    assert torch.allclose(scores @ torch.arange(8.0), mixed.mean((1, 2, 3)), atol=1e-5)
    shares = torch.linspace(0, 1, levels)
    for number, image in enumerate(mixed):
        (partner,) = set(scores[number].nonzero().flatten().tolist()) - {number} or {number}
        possible = shares * number + (1 - shares) * partner
        assert all((possible - value).abs().min() < 1e-5 for value in image.unique())


def test_transport_only_changes_places_of_pieces():
    images, (_, samples) = torch.rand(4, 3, *CANVAS), cls_batch()
    torch.manual_seed(0)
    still = step_with(transport=False, prior=5.0)(images, samples)[0]
    torch.manual_seed(0)
    moved = step_with(transport=True, prior=5.0, effort=0.0)(images, samples)[0]
    torch.manual_seed(0)
    lame = step_with(transport=True, prior=5.0, effort=1e4)(images, samples)[0]
    assert torch.equal(lame, still)
    assert not torch.equal(moved, still)


def test_free_moves_show_the_pieces_that_matter_most_of_both_images():
    saliency = torch.rand(2, 4, 4)
    step = PuzzleMix(num_classes=8, blocks=(4,), levels=2, effort=0.0, smoothness=0.0, prior=0.0)
    step.use_model(Fixed(saliency.repeat_interleave(4, 1).repeat_interleave(6, 2)))
    pieces = (torch.arange(32.0).view(2, 1, 4, 4) + 1).repeat_interleave(4, 2).repeat_interleave(6, 3)
    mixed, made = step(pieces.expand(2, 3, *CANVAS), cls_batch(2)[1])
    for number, image in enumerate(mixed):
        seen = (image[0, ::4, ::6].flatten() - 1).long()
        for own in (0, 1):
            shown = seen[seen // 16 == own] % 16
            assert len(shown) == round(16 * scores_of(made)[number, own].item()) > 0
            order = saliency[own].flatten().argsort(descending=True)
            assert set(shown.tolist()) == set(order[: len(shown)].tolist())


def test_what_matters_of_both_images_is_shown():
    saliency = torch.full((2, *CANVAS), 1e-3)
    saliency[0, :, :6], saliency[1, :, 18:] = 1.0, 1.0
    step = PuzzleMix(num_classes=8, blocks=(4,), alpha=50.0)
    step.use_model(Fixed(saliency))
    images, samples = cls_batch(2)
    mixed, made = step(images, samples)
    assert (mixed[0, :, :, :6] == 0).all() and (mixed[0, :, :, 18:] == 1).all()
    assert (mixed[1, :, :, :6] == 0).all() and (mixed[1, :, :, 18:] == 1).all()
    assert step.model.modes == [False] and step.model.training


@pytest.mark.parametrize('batch', [cls_batch, seg_batch])
def test_saliency_of_blocks_is_the_same_at_half_the_resolution(batch):
    def mix(resolution):
        torch.manual_seed(2)
        return step_with(saliency, resolution=resolution)(images, samples)[0]

    saliency = torch.rand(4, 4, 6).repeat_interleave(4, 1).repeat_interleave(4, 2) ** 4
    images, samples = batch()
    assert torch.equal(mix(0.5), mix(1.0))
    assert not torch.equal(mix(1.0), images)


@pytest.mark.parametrize('seed', range(6))
def test_labels_move_with_pixels_and_padding_stays(seed):
    torch.manual_seed(seed)
    images, samples = seg_batch()
    mixed, moved = step_with(prior=5.0)(images, samples)
    labels = torch.stack([sample.gt_sem_seg.data for sample in moved])
    content = images[:, :1] != -1
    assert torch.equal(mixed[:, :1] != -1, content)
    assert torch.equal(labels[content], 1000 + mixed[:, :1][content].long())
    assert (labels[~content] == 255).all()
    assert [sample.metainfo for sample in moved] == [sample.metainfo for sample in samples]
    assert not torch.equal(mixed, images)
    own = torch.arange(4).view(4, 1, 1, 1) == (mixed[:, :1] - 1).div(500, rounding_mode='floor').long()
    assert torch.equal(mixed[:, :1][own & content], images[:, :1][own & content])


@pytest.mark.parametrize('task', ['classification', 'segmentation'])
@pytest.mark.parametrize(('probability', 'count'), [(0.0, 4), (1.0, 1)], ids=['never', 'a batch of one'])
def test_nothing_is_mixed_or_asked_of_the_model_without_a_partner(task, probability, count):
    step = step_with(count=count, probability=probability)
    images, samples = cls_batch(count) if task == 'classification' else seg_batch(SIZES[:count])
    mixed, made = step(images, samples)
    assert torch.equal(mixed, images)
    assert step.model.modes == []
    if task == 'classification':
        assert torch.equal(scores_of(made), torch.eye(8)[:count])
    else:
        assert all(torch.equal(a.gt_sem_seg.data, b.gt_sem_seg.data) for a, b in zip(made, samples, strict=True))


def test_images_that_are_not_mixed_stay_among_others_that_are():
    torch.manual_seed(0)
    images, samples = torch.rand(8, 3, *CANVAS), cls_batch(8)[1]
    step = step_with(count=8, probability=0.5, prior=5.0, effort=0.01)
    mixed, made = step(images, samples)
    whole = scores_of(made).diagonal() == 1
    assert 0 < whole.sum() < 8
    assert torch.equal(mixed[whole], images[whole])
    needed = set((~whole).nonzero().flatten().tolist()) | set(scores_of(made)[~whole].nonzero()[:, 1].tolist())
    assert set(range(8)) > set(step.model.asked) == needed


@pytest.mark.parametrize('batch', [cls_batch, seg_batch])
def test_seed_decides_and_the_batch_itself_stays(batch):
    def mix(seed):
        torch.manual_seed(seed)
        return step(images, samples)[0]

    step = step_with(prior=5.0)
    images, samples = batch()
    before = images.clone()
    assert torch.equal(mix(0), mix(0))
    assert not torch.equal(mix(0), mix(1))
    assert torch.equal(images, before)


def test_numbers_of_blocks_that_do_not_divide_the_image_are_left_out():
    step = PuzzleMix(blocks=(2, 3, 16), num_classes=8)
    assert {step._draw_blocks((30, 45)) for _ in range(20)} == {3}
    with pytest.raises(
        ValueError, match=r'no number of blocks in \(2, 3, 16\) divides the sides of images of \(31, 45\)'
    ):
        step._draw_blocks((31, 45))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(blocks=()), 'blocks of PuzzleMix'),
        (dict(blocks=(1,)), 'blocks of PuzzleMix must be a list of whole numbers above 1'),
        (dict(levels=1), 'levels of PuzzleMix must be at least 2, got 1'),
        (dict(data_smoothness=1.5), r'data_smoothness of PuzzleMix must be in \[0, 1\], got 1.5'),
        (dict(smoothness=-1.0), 'smoothness of PuzzleMix must be at least 0, got -1'),
        (dict(effort=-0.1), 'effort of PuzzleMix'),
        (dict(resolution=0.0), r'resolution of PuzzleMix must be in \(0, 1\], got 0.0'),
        (dict(piece_size=0), 'piece_size of PuzzleMix must be at least 1, got 0'),
        (dict(alpha=0.0), 'alpha of PuzzleMix must be above 0'),
    ],
)
def test_settings_outside_their_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        PuzzleMix(**options)


def test_step_without_a_model_is_an_error():
    with pytest.raises(ValueError, match='PuzzleMix does not know the model .* use_model'):
        PuzzleMix(num_classes=8)(*cls_batch())
