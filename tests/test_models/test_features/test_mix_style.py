"""MixStyle against its equations, written out."""

import pytest
import torch

from mmdas.models.features import FeatureError, MixStyle
from mmdas.models.features.mix_style import draw_partners, mix_styles


def slow_mix(features: torch.Tensor, partners: list[int], own: list[float], eps: float) -> torch.Tensor:
    """Equations 4 to 6, image by image and channel by channel."""
    result = torch.empty_like(features)
    for image in range(len(features)):
        for channel in range(features.shape[1]):
            styles = [features[place, channel] for place in (image, partners[image])]
            means = [values.sum() / values.numel() for values in styles]
            squares = [
                ((values - mean) ** 2).sum() / (values.numel() - 1) for values, mean in zip(styles, means, strict=True)
            ]
            deviations = [(square + eps) ** 0.5 for square in squares]
            part = own[image]
            deviation = part * deviations[0] + (1 - part) * deviations[1]
            mean = part * means[0] + (1 - part) * means[1]
            result[image, channel] = (styles[0] - means[0]) / deviations[0] * deviation + mean
    return result


def batch(count: int = 4) -> torch.Tensor:
    return (torch.randn(count, 3, 5, 6) * torch.rand(count, 3, 1, 1) * 4 + torch.randn(count, 3, 1, 1)).double()


def test_mixture_is_that_of_its_equations():
    features, partners, own = batch(), [2, 0, 3, 1], [0.1, 0.9, 0.5, 1.0]
    mixed = mix_styles(features, torch.tensor(partners), torch.tensor(own, dtype=torch.float64), eps=1e-3)
    torch.testing.assert_close(mixed, slow_mix(features, partners, own, 1e-3))


def test_statistics_after_it_are_the_mixtures():
    features, partners, own = batch(), torch.tensor([1, 0, 3, 2]), torch.tensor([0.3, 0.3, 0.8, 0.5]).double()
    mixed, part = mix_styles(features, partners, own, eps=1e-12), own.view(4, 1)
    for statistic in (torch.mean, torch.std):
        before, after = statistic(features, dim=(2, 3)), statistic(mixed, dim=(2, 3))
        torch.testing.assert_close(after, part * before + (1 - part) * before[partners])


def test_own_statistics_alone_leave_the_features():
    features = batch()
    mixed = mix_styles(features, torch.tensor([3, 2, 1, 0]), torch.ones(4).double())
    torch.testing.assert_close(mixed, features)


def test_statistics_count_as_constants_in_the_gradient():
    features, partners, own = batch(2).requires_grad_(), torch.tensor([1, 0]), torch.tensor([0.25, 0.5]).double()
    weights = torch.randn_like(features)
    (mix_styles(features, partners, own, eps=1e-12) * weights).sum().backward()
    deviation = features.detach().std(dim=(2, 3), keepdim=True)
    part = own.view(2, 1, 1, 1)
    ratio = (part * deviation + (1 - part) * deviation[partners]) / deviation
    torch.testing.assert_close(features.grad, ratio * weights)


def test_frames_of_an_image_mix_alike_with_those_of_one_partner():
    clips = batch(6)
    layer = MixStyle(probability=1.0, alpha=1.0)
    state = torch.get_rng_state()
    mixed = layer(clips, num_frames=2).view(3, 2, 3, 5, 6)
    for frame in range(2):
        torch.set_rng_state(state)
        alone = layer(clips.view(3, 2, 3, 5, 6)[:, frame])
        torch.testing.assert_close(mixed[:, frame], alone)


def test_coin_is_tossed_once_a_batch_at_its_probability():
    features, layer = batch().float(), MixStyle(probability=0.3, alpha=1.0)
    changed = [layer(features) is not features for _ in range(600)]
    assert sum(changed) / 600 == pytest.approx(0.3, abs=0.075)


def test_parts_have_the_beta_distribution():
    image = torch.randn(1, 1, 4, 4)
    features = torch.cat([image, image + 1])  # equal but for the mean, which tells the part
    parts = []
    for _ in range(600):
        mixed = MixStyle(probability=1.0, alpha=0.1)(features)
        parts += (mixed.mean(dim=(1, 2, 3)) - features.mean(dim=(1, 2, 3))).abs().tolist()
    parts = torch.tensor(parts)  # 1 - own, or 0 where an image is its own partner, as every second is
    assert float(parts.mean()) == pytest.approx(0.25, abs=0.05)
    assert float(parts.square().mean()) == pytest.approx(0.5 * (0.25 + 0.25 / 1.2), abs=0.05)


def test_partners_across_domains_are_of_the_other_half():
    for _ in range(20):
        partners = draw_partners(8, across=True)
        assert sorted(partners.tolist()) == list(range(8))
        assert (partners[:4] >= 4).all()
        assert (partners[4:] < 4).all()
    assert sorted(draw_partners(7, across=True).tolist()) == list(range(7))


def test_a_batch_of_one_and_evaluation_stay_as_they_are():
    image = batch(1)
    assert MixStyle(probability=1.0)(image) is image
    features = batch()
    assert MixStyle(probability=1.0).eval()(features) is features


def test_half_precision_counts_in_single():
    features = (batch() + 100).half()
    torch.manual_seed(3)
    mixed = MixStyle(probability=1.0, alpha=1.0)(features)
    torch.manual_seed(3)
    expected = MixStyle(probability=1.0, alpha=1.0)(features.float())
    assert mixed.dtype == torch.float16
    assert torch.equal(mixed, expected.half())


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(probability=2.0), r'probability of mmdas\.MixStyle must be in \[0, 1\], got 2\.0'),
        (dict(alpha=0.0), r'alpha of mmdas\.MixStyle must be above 0, got 0\.0'),
        (dict(eps=-1.0), r'eps of mmdas\.MixStyle must be above 0, got -1\.0'),
        (dict(partners='near'), r"partners of mmdas\.MixStyle must be one of .* got 'near'"),
    ],
)
def test_a_setting_out_of_range_is_named(options, match):
    with pytest.raises(FeatureError, match=match):
        MixStyle(**options)


def test_maps_of_one_place_are_refused():
    with pytest.raises(FeatureError, match='needs maps of several places'):
        MixStyle()(torch.rand(4, 8, 1, 1))
