"""Gram matrices, means and deviations, AdaIN, and styles at random."""

import numpy as np
import pytest
import torch

from mmdas.style import StyleDistribution, adaptive_instance_norm, channel_statistics, gram_matrix
from mmdas.style.statistics import Statistics, interpolate, with_statistics


def test_gram_matrix_is_the_mean_product_of_two_channels():
    features = torch.randn(2, 3, 4, 5)
    expected = torch.zeros(2, 3, 3)
    for image in range(2):
        for first in range(3):
            for second in range(3):
                for row in range(4):
                    for column in range(5):
                        product = features[image, first, row, column] * features[image, second, row, column]
                        expected[image, first, second] += product / 20
    torch.testing.assert_close(gram_matrix(features), expected)


def test_gram_matrix_does_not_know_the_places():
    features = torch.randn(1, 4, 6, 6)
    shuffled = features.flatten(2)[..., torch.randperm(36)].unflatten(2, (6, 6))
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))


def test_statistics_are_those_of_numpy():
    features = torch.randn(2, 3, 4, 5)
    rows = features.flatten(2).numpy()
    found = channel_statistics(features, epsilon=0.25)
    np.testing.assert_allclose(found.mean, rows.mean(2), atol=1e-6)
    np.testing.assert_allclose(found.std, np.sqrt(rows.var(2, ddof=1) + 0.25), rtol=1e-5)


@pytest.mark.parametrize('styles', [1, 2])
def test_adain_gives_the_statistics_of_the_style(styles: int):
    content, style = 3 * torch.randn(2, 4, 9, 8) + 1, 0.5 * torch.randn(styles, 4, 7, 7) - 2
    changed, wanted = channel_statistics(adaptive_instance_norm(content, style)), channel_statistics(style)
    torch.testing.assert_close(changed.mean, wanted.mean.expand(2, 4), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(changed.std, wanted.std.expand(2, 4), rtol=1e-4, atol=1e-4)


def test_adain_with_the_own_style_changes_nothing():
    content = torch.randn(2, 4, 9, 8)
    torch.testing.assert_close(adaptive_instance_norm(content, content), content)


def test_channel_without_variation_becomes_the_mean_of_the_style():
    changed = adaptive_instance_norm(torch.full((1, 1, 4, 4), 3.0), torch.randn(1, 1, 4, 4) + 5)
    assert torch.isfinite(changed).all() and changed.std() < 1e-3


def test_interpolated_statistics_are_interpolated_features():
    content, style = torch.randn(2, 4, 9, 8), channel_statistics(3 * torch.randn(2, 4, 5, 5) + 2)
    own = channel_statistics(content)
    expected = 0.3 * with_statistics(content, style) + 0.7 * content
    torch.testing.assert_close(with_statistics(content, interpolate(own, style, 0.3)), expected)


def test_single_place_has_no_deviation():
    with pytest.raises(ValueError, match=r'\(1, 2, 1, 1\) have a single place'):
        channel_statistics(torch.rand(1, 2, 1, 1))


def fitted(count: int = 7) -> tuple[StyleDistribution, torch.Tensor]:
    mean = torch.randn(count, 2) @ torch.tensor([[1.0, 0.5], [0.0, 2.0]])
    std = (0.3 * torch.randn(count, 2) + mean / 4).exp()
    return StyleDistribution.fit([Statistics(mean[:3], std[:3]), Statistics(mean[3:], std[3:])]), torch.cat(
        [mean, std.log()], 1
    )


def test_drawn_styles_have_mean_and_covariance_of_the_fitted_ones():
    distribution, rows = fitted()
    drawn = distribution.draw(40000)
    found = torch.cat([drawn.mean, drawn.std.log()], 1)
    torch.testing.assert_close(found.mean(0), rows.mean(0), atol=0.06, rtol=0)
    torch.testing.assert_close(found.T.cov(), rows.T.cov(), atol=0.15, rtol=0.05)
    assert (drawn.std > 0).all()


def test_draws_follow_from_the_seed():
    distribution, _ = fitted()
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(distribution.draw(3).mean)
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_one_style_has_no_distribution():
    with pytest.raises(ValueError, match='two images or more, got 1'):
        StyleDistribution.fit([channel_statistics(torch.rand(1, 3, 4, 4))])
