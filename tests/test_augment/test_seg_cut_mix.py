"""CutMix for segmentation: labels move with their pixels, content alone is mixed."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmdas.augment import SegCutMix
from mmdas.augment.cut_mix import Cuts, draw_box, draw_cuts
from mmdas.registry import MODELS

CANVAS = (12, 16)
SIZES = [(12, 16), (9, 16), (12, 7), (5, 4)]
PADDING, IGNORED = -1, 255


def make_batch(sizes=SIZES):
    """Images and samples in which each pixel and label has a number of its own in the batch; padding has -1 and 255."""
    images = torch.full((len(sizes), 3, *CANVAS), float(PADDING))
    samples = []
    for number, (height, width) in enumerate(sizes):
        pixels = 1 + number * 200 + torch.arange(height * width).view(1, height, width)
        labels = torch.full((1, *CANVAS), IGNORED)
        images[number, :, :height, :width] = pixels
        labels[:, :height, :width] = 1000 + pixels
        sample = SegDataSample(metainfo=dict(padding_size=(0, CANVAS[1] - width, 0, CANVAS[0] - height)))
        sample.gt_sem_seg, sample.gt_edge_map = PixelData(data=labels), PixelData(data=2 * labels)
        samples.append(sample)
    return images, samples


def labels_of(samples, field='gt_sem_seg'):
    return torch.stack([sample.get(field).data for sample in samples])


def paste_slowly(maps, cuts: Cuts):
    """Pixel by pixel."""
    pasted = maps.clone()
    for number, _, row, column in cuts.boxes.nonzero().tolist():
        pasted[number, :, row, column] = maps[cuts.partners[number], :, row, column]
    return pasted


def test_boxes_are_pasted_as_pixel_by_pixel():
    images, samples = make_batch()
    cuts = draw_cuts(SIZES, CANVAS, 1.0, 1.0)
    for maps in (images, labels_of(samples)):
        assert torch.equal(cuts(maps), paste_slowly(maps, cuts))


@pytest.mark.parametrize('seed', range(8))
def test_labels_move_with_pixels_and_padding_stays(seed):
    torch.manual_seed(seed)
    images, samples = make_batch()
    mixed, moved = SegCutMix(probability=1.0)(images, samples)
    content = images[:, :1] != PADDING
    assert torch.equal(mixed[:, :1] != PADDING, content)
    assert torch.equal(labels_of(moved)[content], 1000 + mixed[:, :1][content].long())
    assert (labels_of(moved)[~content] == IGNORED).all()
    assert torch.equal(labels_of(moved, 'gt_edge_map'), 2 * labels_of(moved))
    assert [sample.metainfo for sample in moved] == [sample.metainfo for sample in samples]  # which notes the padding


def test_ignored_pixels_move_as_any_others():
    images, samples = make_batch([CANVAS] * 2)
    samples[1].gt_sem_seg = PixelData(data=torch.full((1, *CANVAS), IGNORED))
    torch.manual_seed(1)
    mixed, moved = SegCutMix(probability=1.0)(images, samples)
    from_second = mixed[0, 0] > 200
    assert from_second.any() and not from_second.all()
    assert torch.equal(moved[0].gt_sem_seg.data[0] == IGNORED, from_second)


def test_boxes_are_rectangles_of_another_image_in_the_same_place():
    images, samples = make_batch([CANVAS] * 4)
    mixed, _ = SegCutMix(probability=1.0)(images, samples)
    for number, image in enumerate(mixed[:, 0]):
        rows, columns = (image != images[number, 0]).nonzero(as_tuple=True)
        box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        (partner,) = (box.unique().long() // 200).unique().tolist()
        assert partner != number
        assert torch.equal(box, images[partner, 0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def box_share(random: np.random.RandomState, beta: float, height: int, width: int) -> float:
    """Share of the image in a box of the paper (Eq. 2), of its bounds as real numbers."""
    side = np.sqrt(1 - random.beta(beta, beta))
    share = 1.0
    for length in (height, width):
        centre, half = random.uniform(0, length), side * length / 2
        share *= (min(centre + half, length) - max(centre - half, 0)) / length
    return share


@pytest.mark.parametrize('beta', [0.3, 1.0, 4.0])
def test_boxes_have_the_areas_of_the_paper(beta):
    random, (height, width) = np.random.RandomState(0), (60, 100)
    expected = [box_share(random, beta, height, width) for _ in range(3000)]
    boxes = [draw_box((height, width), beta) for _ in range(3000)]
    shares = [(rows.stop - rows.start) * (columns.stop - columns.start) / (height * width) for rows, columns in boxes]
    assert np.mean(shares) == pytest.approx(np.mean(expected), abs=0.02)
    assert np.std(shares) == pytest.approx(np.std(expected), abs=0.02)


def test_so_many_images_get_a_box_as_the_probability_says():
    cuts = draw_cuts([CANVAS] * 2000, CANVAS, 0.3, 1.0)
    assert (cuts.partners != torch.arange(2000)).float().mean().item() == pytest.approx(0.3, abs=0.04)


def test_partner_is_any_other_image():
    drawn = torch.stack([draw_cuts([CANVAS] * 3, CANVAS, 1.0, 1.0).partners for _ in range(60)])
    assert [set(column.tolist()) for column in drawn.T] == [{1, 2}, {0, 2}, {0, 1}]


@pytest.mark.parametrize(('probability', 'sizes'), [(0.0, SIZES), (1.0, SIZES[:1])], ids=['never', 'a batch of one'])
def test_nothing_is_mixed_without_a_box_or_another_image(probability, sizes):
    images, samples = make_batch(sizes)
    mixed, moved = SegCutMix(probability)(images, samples)
    assert torch.equal(mixed, images)
    assert torch.equal(labels_of(moved), labels_of(samples))


def test_seed_decides_and_the_batch_itself_stays():
    def mix(seed):
        torch.manual_seed(seed)
        return SegCutMix(1.0)(images, samples)[0]

    images, samples = make_batch()
    before = images.clone(), labels_of(samples)
    assert torch.equal(mix(0), mix(0))
    assert not torch.equal(mix(0), mix(1))
    assert torch.equal(images, before[0]) and torch.equal(labels_of(samples), before[1])


def test_padding_that_the_preprocessor_notes_is_left_alone():
    preprocessor = MODELS.build(
        dict(type='mmdas.DASSegDataPreProcessor', size=CANVAS, augments=[dict(type='mmdas.SegCutMix', probability=1.0)])
    )
    images, samples = [], []
    for number, (height, width) in enumerate(SIZES):
        images.append(torch.full((3, height, width), number + 1, dtype=torch.uint8))
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, height, width), number + 1)))
        samples.append(sample)
    data = preprocessor(dict(inputs=images, data_samples=samples), training=True)
    labels, pixels = labels_of(data['data_samples']), data['inputs'][:, :1].long()
    assert torch.equal(torch.where(labels == IGNORED, 0, labels), pixels)
    for number, (height, width) in enumerate(SIZES):
        assert (labels[number, :, :height, :width] != IGNORED).all()
        assert (labels[number] != IGNORED).sum() == height * width
    assert labels[0].unique().numel() > 1


class TestErrors:
    @pytest.mark.parametrize('options', [dict(probability=1.5), dict(probability=-0.1), dict(beta=0.0)])
    def test_settings_outside_their_range(self, options):
        ((name, value),) = options.items()
        with pytest.raises(ValueError, match=f'{name} of SegCutMix must be .*, got {value}'):
            SegCutMix(**options)

    def test_classification_is_told_where_its_own_is(self):
        samples = [DataSample().set_gt_label(1)] * 2
        with pytest.raises(ValueError, match=r"have \['gt_label'\]; for classification take .*mmdas.CutMix"):
            SegCutMix()(torch.zeros(2, 3, 4, 4), samples)

    @pytest.mark.parametrize('samples', [None, []])
    def test_no_samples(self, samples):
        with pytest.raises(ValueError, match='samples have no field'):
            SegCutMix()(torch.zeros(2, 3, 4, 4), samples)

    def test_labels_of_another_size(self):
        images, samples = make_batch()
        with pytest.raises(ValueError, match=r'gt_edge_map of the samples is of sizes .* images are of \(6, 8\)'):
            SegCutMix()(images[..., ::2, ::2], samples)
