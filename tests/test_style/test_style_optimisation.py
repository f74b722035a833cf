"""Textures, style transfer and the training of a fast network make their losses small."""

import pytest
import torch
from narrow_vgg import narrow  # noqa: F401

from mmdas.style import (
    VGG19,
    FastStyle,
    PerceptualLoss,
    balanced_weights,
    equal_weights,
    gram_matrix,
    style_grams,
    synthesize_texture,
    train_fast_style,
    transfer_style,
)
from mmdas.style.fast_style_training import total_variation
from mmdas.style.synthesis import style_loss

pytestmark = pytest.mark.usefixtures('narrow')
LAYERS = ('relu1_1', 'relu2_1')


def stripes(size: int = 32) -> torch.Tensor:
    """Red and blue stripes downwards."""
    waves = 0.5 + 0.4 * torch.sin(torch.arange(size) * 1.3).expand(1, 1, size, size)
    return torch.cat([waves, torch.full_like(waves, 0.2), 1 - waves], 1)


def test_texture_has_the_gram_matrices_of_the_style():
    network, style = VGG19('random'), stripes()
    made = synthesize_texture(style, network, layers=LAYERS, iterations=60)
    noise = torch.rand(1, 3, 32, 32)

    def error(image: torch.Tensor) -> float:
        wanted = style_grams(style, network, LAYERS)
        found = network(image, LAYERS)
        return sum(
            float((gram_matrix(found[name]) - wanted[name]).square().sum() / wanted[name].square().sum())
            for name in LAYERS
        )

    assert error(made.image) < 0.01 < 10 * error(noise)
    assert made.losses[-1] < 0.01 * made.losses[0]
    assert (made.image - style).abs().mean() > 0.02  # another image of the same texture


def test_texture_may_be_larger_than_its_style_and_follows_from_the_seed():
    network, images = VGG19('random'), []
    for _ in range(2):
        torch.manual_seed(3)
        images.append(synthesize_texture(stripes(), network, (40, 48), layers=LAYERS, iterations=2).image)
    assert images[0].shape == (1, 3, 40, 48)
    assert torch.equal(*images)


def test_loss_of_a_style_is_that_of_the_paper():
    network, image, style = VGG19('random'), torch.rand(1, 3, 16, 16), stripes(16)
    features, others = network(image, LAYERS), network(style, LAYERS)
    expected = 0.0
    for name in LAYERS:
        own, wanted = (maps[name][0].flatten(1) for maps in (features, others))
        channels, places = own.shape
        unscaled = (own @ own.T - wanted @ wanted.T).square().sum()
        expected += 0.5 * float(unscaled) / (4 * channels**2 * places**2)
    found = style_loss(features, style_grams(style, network, LAYERS), equal_weights(LAYERS))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_balanced_weights_count_every_layer_alike():
    network = VGG19('random')
    grams = style_grams(stripes(), network, LAYERS)
    weights = balanced_weights(grams)
    for name in LAYERS:
        empty = {name: torch.zeros(1, len(grams[name][0]), 4, 4)}
        assert float(style_loss(empty, grams, {name: weights[name]})) == pytest.approx(0.5)


def test_transfer_keeps_the_content_and_takes_the_style():
    network, style, content = VGG19('random'), stripes(), torch.zeros(1, 3, 32, 32)
    content[..., 8:24, 8:24] = 1
    options = dict(content_layer='relu2_2', layers=LAYERS, iterations=40)
    strong, weak = (transfer_style(content, style, network, weight, **options) for weight in (100.0, 0.01))
    grams = style_grams(style, network, LAYERS)

    def style_error(image: torch.Tensor) -> float:
        return float(style_loss(network(image, LAYERS), grams, balanced_weights(grams)))

    assert style_error(strong.image) < 0.2 * style_error(content)
    assert style_error(strong.image) < style_error(weak.image)
    assert (weak.image - content).abs().mean() < (strong.image - content).abs().mean()
    assert strong.losses[-1] < 0.5 * strong.losses[0]


def test_transfer_without_style_stays_the_content():
    content = torch.rand(1, 3, 32, 32)
    made = transfer_style(content, stripes(), VGG19('random'), 0.0, 'relu2_2', LAYERS, iterations=3)
    assert torch.equal(made.image, content)


def test_fast_network_learns_a_style():
    network, style = VGG19('random'), stripes()
    loss = PerceptualLoss(network, style, LAYERS, 'relu2_2', 0.1, 20.0)
    student, batch = FastStyle('random', width=4), stripes(24).flip(2).transpose(2, 3)
    steps: list[int] = []
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    losses = train_fast_style(student, loss, [batch] * 40, optimizer, lambda step, value: steps.append(step))
    assert steps == list(range(1, 41))
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad is None for parameter in network.parameters())


def test_parts_of_the_perceptual_loss_vanish_where_they_should():
    network, style = VGG19('random'), stripes()
    image, flat = torch.rand(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.4)
    options = dict(layers=LAYERS, content_layer='relu2_2')
    content = PerceptualLoss(network, style, **options, content_weight=1.0, style_weight=0.0, smoothness=0.0)
    assert float(content(image, image)) == 0 < float(content(flat, image))
    styled = PerceptualLoss(network, style, **options, content_weight=0.0, style_weight=1.0, smoothness=0.0)
    assert float(styled(style, image)) < 1e-6 < float(styled(flat, image))
    smooth = PerceptualLoss(network, style, **options, content_weight=0.0, style_weight=0.0, smoothness=1.0)
    assert float(smooth(flat, image)) == 0 < float(smooth(image, image))


def test_total_variation_is_the_sum_over_neighbours():
    images = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    expected = 0.0
    for image in images[:, 0]:
        for row in range(3):
            for column in range(4):
                expected += float((image[row, column] - image[row - 1, column]) ** 2) if row else 0
                expected += float((image[row, column] - image[row, column - 1]) ** 2) if column else 0
    assert float(total_variation(images)) == pytest.approx(expected / 2)


class TestErrors:
    def test_images_of_another_shape(self):
        with pytest.raises(ValueError, match=r'style must be of shape \(1, 3, H, W\), got \(2, 3, 8, 8\)'):
            synthesize_texture(torch.rand(2, 3, 8, 8), VGG19('random'))
        with pytest.raises(ValueError, match=r'content must be of shape .* got \(3, 8, 8\)'):
            transfer_style(torch.rand(3, 8, 8), stripes(), VGG19('random'))

    def test_numbers_outside_their_range(self):
        with pytest.raises(ValueError, match='iterations must be at least 1, got 0'):
            synthesize_texture(stripes(), VGG19('random'), layers=LAYERS, iterations=0)
        with pytest.raises(ValueError, match='style_weight must be at least 0, got -1'):
            transfer_style(stripes(), stripes(), VGG19('random'), -1)
        with pytest.raises(ValueError, match=r'at least 0, got \(1.0, -5.0, 1e-06\)'):
            PerceptualLoss(VGG19('random'), stripes(), style_weight=-5.0)

    def test_training_without_batches(self):
        loss = PerceptualLoss(VGG19('random'), stripes(), LAYERS, 'relu2_2')
        with pytest.raises(ValueError, match='no batch'):
            train_fast_style(FastStyle('random', width=4), loss, [])
