"""Hide-and-Seek: whole cells are hidden, nothing else changes."""

import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmdas.augment import HideAndSeek

CANVAS = (40, 56)


def seg_sample(size=CANVAS):
    sample = SegDataSample(metainfo=dict(padding_size=(0, CANVAS[1] - size[1], 0, CANVAS[0] - size[0])))
    sample.gt_sem_seg = PixelData(data=torch.ones(1, *CANVAS, dtype=torch.long))
    return sample


def hide_slowly(hidden: torch.Tensor, side: int) -> bool:
    """Whether each cell is hidden as a whole or not at all."""
    rows, columns = hidden.shape
    cells = (hidden[i : i + side, j : j + side] for i in range(0, rows, side) for j in range(0, columns, side))
    return all(bool(cell.all()) or not bool(cell.any()) for cell in cells)


@pytest.mark.parametrize(
    ('size', 'sides'), [((224, 300), (0, 16, 32, 44, 56)), ((32, 32), (0, 2, 5, 6, 8)), ((3, 3), (0, 1))]
)
def test_sides_are_the_papers_at_224_pixels_and_shrink_with_the_image(size, sides):
    found = set()
    for _ in range(60):
        hidden = HideAndSeek().draw(size, size)
        found |= {next((side for side in sides[:0:-1] if hide_slowly(hidden, side)), None)} if hidden.any() else {0}
    assert found == set(sides)


@pytest.mark.parametrize('side', [5, 16, 100])
def test_cells_are_hidden_whole_in_the_share_of_the_probability(side):
    hidden = torch.stack([HideAndSeek(0.3, sizes=[side]).draw(CANVAS, CANVAS) for _ in range(400)])
    assert all(hide_slowly(image, side) for image in hidden)
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.06)
    assert torch.allclose(hidden[:, 0, 0].float().mean(), torch.tensor(0.3), atol=0.08)


def test_hidden_pixels_have_the_mean_and_others_stay():
    images = torch.rand(3, 3, *CANVAS) + 1
    samples = [DataSample().set_gt_label(1)] * 3
    made, same = HideAndSeek(sizes=[8])(images, samples)
    hidden = made == 0
    assert same is samples and hidden.any() and not hidden.all()
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    assert torch.equal(made[~hidden], images[~hidden])
    filled, _ = HideAndSeek(1.0, sizes=[8], fill=[1.0, 2.0, 3.0])(images, samples)
    assert torch.equal(filled, torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1).expand_as(images))


def test_each_image_has_hidden_cells_of_its_own():
    made, _ = HideAndSeek(sizes=[8])(torch.ones(4, 3, *CANVAS), None)
    assert len({tuple(image.flatten().tolist()) for image in made}) == 4


def test_padding_is_not_hidden_and_labels_stay():
    samples = [seg_sample((24, 30)), seg_sample()]
    made, same = HideAndSeek(1.0, sizes=[8])(torch.ones(2, 3, *CANVAS), samples)
    assert (made[0, :, :24, :30] == 0).all() and made[0].sum() == 3 * (40 * 56 - 24 * 30)
    assert same is samples


def test_hidden_labels_do_not_count_where_that_is_asked_for():
    step = HideAndSeek(sizes=[8], ignore_hidden=True, ignore_index=77)
    samples = [seg_sample() for _ in range(2)]
    made, moved = step(torch.ones(2, 3, *CANVAS), samples)
    labels = torch.stack([sample.gt_sem_seg.data for sample in moved])
    assert torch.equal(labels == 77, made[:, :1] == 0)
    assert set(labels.unique().tolist()) == {1, 77}
    assert all((sample.gt_sem_seg.data == 1).all() for sample in samples)
    assert step.ignore_index == 77 and not hasattr(HideAndSeek(), 'ignore_index')  # which AugmentHook compares


def test_seed_decides():
    def hide(seed):
        torch.manual_seed(seed)
        return HideAndSeek(sizes=[8])(torch.ones(2, 1, *CANVAS), None)[0]

    assert torch.equal(hide(0), hide(0))
    assert not torch.equal(hide(0), hide(1))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(probability=1.1), 'probability of HideAndSeek must be in .*got 1.1'),
        (dict(shares=[0.1, 2.0]), r'shares of HideAndSeek .*got \[0.1, 2.0\]'),
        (dict(shares=[]), 'shares of HideAndSeek'),
        (dict(sizes=[]), 'sizes of HideAndSeek'),
        (dict(sizes=[0.5]), r'sizes of HideAndSeek must be a list of whole pixels.*got \[0.5\]'),
    ],
)
def test_settings_outside_their_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        HideAndSeek(**options)


def test_fill_of_other_channels_is_an_error():
    with pytest.raises(ValueError, match='fill of HideAndSeek has 2 numbers, the images 3 channels'):
        HideAndSeek(fill=[0.0, 1.0])(torch.ones(1, 3, 4, 4), None)
