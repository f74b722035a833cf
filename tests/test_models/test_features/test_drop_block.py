"""DropBlock: its masks, its rate and its schedule."""

import pytest
import torch
from mmengine.logging import MessageHub

from mmdas.models.features import DropBlock, FeatureError
from mmdas.models.features.drop_block import draw_mask


def is_union_of_blocks(kept: torch.Tensor, side: int) -> bool:
    """Whether each dropped place lies in a whole dropped square, by looking at all squares."""
    height, width = kept.shape
    covered = torch.zeros_like(kept)
    for y in range(height - side + 1):
        for x in range(width - side + 1):
            if not kept[y : y + side, x : x + side].any():
                covered[y : y + side, x : x + side] = True
    return torch.equal(covered, ~kept)


@pytest.mark.parametrize('side', [1, 3, 5])
def test_what_is_dropped_is_whole_blocks_inside_the_map(side):
    mask = draw_mask(torch.empty(4, 3, 9, 11), 0.3, side)
    assert (mask == 0).any()
    assert all(is_union_of_blocks(channel > 0, side) for channel in mask.flatten(0, 1))


def expected_kept(rate: float, side: int, size: int) -> float:
    """Mean share of kept places: one is kept where no centre of a block within its reach is drawn."""
    gamma = rate * size**2 / (side**2 * (size - side + 1) ** 2)  # Eq. 1 of the paper
    centres = range(side // 2, size - side // 2)
    reach = [sum(abs(place - centre) <= side // 2 for centre in centres) for place in range(size)]
    return sum((1 - gamma) ** (down * across) for down in reach for across in reach) / size**2


@pytest.mark.parametrize(('rate', 'side'), [(0.1, 7), (0.3, 3), (0.2, 1)])
def test_kept_share_is_that_of_the_rate(rate, side):
    size = 14
    kept = (draw_mask(torch.empty(64, 64, size, size), rate, side) > 0).float()
    expected = expected_kept(rate, side, size)
    assert float(kept.mean()) == pytest.approx(expected, abs=0.004)
    assert 1 - rate - 0.01 < expected < 1 - 0.7 * rate  # blocks overlap: fewer are dropped


def test_the_mean_mask_is_one_whatever_the_type_of_the_features():
    features = torch.ones(8, 256, 14, 14, dtype=torch.float16)  # more places than a half counts
    result = DropBlock(0.2, ramp=0)(features)
    assert result.dtype == torch.float16
    assert float(result.float().mean()) == pytest.approx(1, abs=1e-3)
    assert float(result.max()) == pytest.approx(1 / float((result > 0).float().mean()), rel=1e-3)


def test_all_frames_of_an_image_have_the_same_mask_and_images_others():
    features = torch.ones(6, 4, 8, 8)
    masks = DropBlock(0.3, 3, ramp=0)(features, num_frames=2).view(3, 2, 4, 8, 8)
    assert torch.equal(masks[:, 0], masks[:, 1])
    assert not torch.equal(masks[0, 0], masks[1, 0])


@pytest.mark.parametrize(('height', 'width'), [(4, 4), (3, 5), (1, 1), (2, 9)])
def test_a_map_smaller_than_a_block_takes_the_largest_odd_side(height, width):
    side = max(side for side in (1, 3) if side <= min(height, width))
    mask = draw_mask(torch.empty(64, 4, height, width), 0.5, 7)
    assert (mask == 0).any()
    assert all(is_union_of_blocks(channel > 0, side) for channel in mask.flatten(0, 1))


def test_gradient_passes_what_is_kept_alone():
    features = torch.randn(2, 3, 8, 8, requires_grad=True)
    result = DropBlock(0.3, 3, ramp=0)(features)
    result.sum().backward()
    torch.testing.assert_close(features.grad * features.detach(), result.detach())


@pytest.fixture
def hub(monkeypatch):
    """A message hub of its own, as a runner has."""
    hub = MessageHub.get_instance('test_drop_block')
    monkeypatch.setattr(MessageHub, 'get_current_instance', lambda: hub)
    return hub


def test_the_rate_rises_linearly_along_the_training(hub):
    whole, half, constant = DropBlock(0.2), DropBlock(0.2, ramp=0.5), DropBlock(0.2, ramp=0)
    hub.update_info('max_iters', 200)
    rates = []
    for done in (0, 50, 100, 150, 199):
        hub.update_info('iter', done)
        rates.append([layer.current_rate() for layer in (whole, half, constant)])
    expected = [[0, 0, 0.2], [0.05, 0.1, 0.2], [0.1, 0.2, 0.2], [0.15, 0.2, 0.2], [0.199, 0.2, 0.2]]
    torch.testing.assert_close(torch.tensor(rates), torch.tensor(expected))


def test_the_first_iteration_drops_nothing_and_a_late_one_does(hub):
    features, layer = torch.ones(4, 8, 8, 8), DropBlock(0.3, 3)
    hub.update_info('max_iters', 10)
    hub.update_info('iter', 0)
    assert torch.equal(layer(features), features)
    hub.update_info('iter', 9)
    assert (layer(features) == 0).any()


def test_the_state_of_the_generator_decides_the_mask_and_goes_on():
    features, layer = torch.ones(2, 4, 8, 8), DropBlock(0.3, 3, ramp=0)
    state = torch.get_rng_state()
    first, second = layer(features), layer(features)
    torch.set_rng_state(state)
    assert torch.equal(layer(features), first)
    assert torch.equal(layer(features), second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(rate=1.0), r'rate of mmdas\.DropBlock must be in \[0, 1\), got 1\.0'),
        (dict(block_size=4), r'block_size of mmdas\.DropBlock must be odd and at least 1, .* got 4'),
        (dict(ramp=2), r'ramp of mmdas\.DropBlock must be in \[0, 1\], got 2'),
    ],
)
def test_a_setting_out_of_range_is_named(options, match):
    with pytest.raises(FeatureError, match=match):
        DropBlock(**options)
