"""ADL against its equations, written out."""

import pytest
import torch

from mmdas.models.features import ADL, FeatureError
from mmdas.models.features.adl import kept_places
from mmdas.registry import MODELS


def slow_adl(features: torch.Tensor, drops: bool, threshold: float) -> torch.Tensor:
    """Place by place, in plain numbers."""
    result = torch.empty_like(features)
    for image, maps in enumerate(features):
        _, height, width = maps.shape
        means = [
            [sum(float(value) for value in maps[:, y, x]) / len(maps) for x in range(width)] for y in range(height)
        ]
        highest = max(max(row) for row in means)
        for y in range(height):
            for x in range(width):
                kept = 1.0 if means[y][x] < threshold * highest else 0.0
                importance = 1 / (1 + 2.718281828459045 ** -means[y][x])
                result[image, :, y, x] = maps[:, y, x] * (kept if drops else importance)
    return result


@pytest.mark.parametrize('drops', [True, False])
@pytest.mark.parametrize('threshold', [0.8, 0.3])
def test_each_map_is_that_of_its_equation(drops, threshold):
    features = torch.randn(3, 4, 5, 6).double()
    layer = ADL(drop_rate=float(drops), threshold=threshold)
    torch.testing.assert_close(layer(features), slow_adl(features, drops, threshold))


def test_the_drop_mask_covers_the_places_of_highest_attention_of_each_image():
    attention = torch.rand(4, 1, 6, 6) * torch.tensor([1.0, 10.0, 100.0, 0.1]).view(4, 1, 1, 1)
    kept = kept_places(attention, 0.8).bool()
    for values, keeps in zip(attention, kept, strict=True):
        assert values[~keeps].min() >= 0.8 * values.max() > values[keeps].max()


def test_the_drop_mask_is_drawn_at_its_rate():
    features, layer = torch.rand(1, 3, 4, 4) + 0.1, ADL()
    drawn = [bool((layer(features) == 0).any()) for _ in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.75, abs=0.04)  # 4 deviations


def test_all_images_and_frames_of_a_batch_share_the_choice():
    features, layer = torch.rand(6, 3, 4, 4) + 0.1, ADL(drop_rate=0.5)
    for _ in range(8):
        dropped = (layer(features, num_frames=2) == 0).flatten(1).any(dim=1)
        assert dropped.all() or not dropped.any()


@pytest.mark.parametrize('drops', [0.0, 1.0])
def test_gradient_is_that_of_finite_differences(drops):
    features = torch.randn(2, 3, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(ADL(drop_rate=drops), features)


def test_evaluation_is_the_identity_and_draws_nothing():
    layer, features = ADL().eval(), torch.randn(2, 3, 4, 4)
    state = torch.get_rng_state()
    assert layer(features) is features
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_built_from_a_config_and_has_no_state():
    layer = MODELS.build(dict(type='mmdas.ADL', drop_rate=0.5))
    assert layer.drop_rate == 0.5
    assert not layer.state_dict()


@pytest.mark.parametrize('options', [dict(drop_rate=1.5), dict(threshold=-0.1)])
def test_a_setting_out_of_range_is_named(options):
    ((name, value),) = options.items()
    with pytest.raises(FeatureError, match=rf'{name} of mmdas\.ADL must be in \[0, 1\], got {value}'):
        ADL(**options)


@pytest.mark.parametrize(('shape', 'frames'), [((2, 16, 8), 1), ((3, 4, 5, 5), 2)])
def test_what_is_no_map_of_whole_images_is_refused(shape, frames):
    with pytest.raises(FeatureError, match=r'mmdas\.ADL takes maps \(B\*T, C, h, w\)'):
        ADL()(torch.rand(shape), frames)
