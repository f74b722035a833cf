"""Losses of distillation against sums written out, and their gradients."""

import math

import pytest
import torch

from mmdas.models.distillation import (
    ChannelWiseDistillation,
    KLDistillation,
    channel_wise_divergence,
    kl_divergence,
)

LOSSES = {'kl': kl_divergence, 'cwd': channel_wise_divergence}
each_loss = pytest.mark.parametrize('loss', LOSSES.values(), ids=LOSSES)


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


def softmax(values, temperature):
    weights = [math.exp(value / temperature) for value in values]
    return [weight / sum(weights) for weight in weights]


def divergence(student, teacher, temperature):
    """T^2 KL of two lists of logits, one term after the other."""
    pairs = zip(softmax(student, temperature), softmax(teacher, temperature), strict=True)
    return temperature**2 * sum(taught * math.log(taught / learned) for learned, taught in pairs)


@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_kl_of_scores_is_the_mean_over_the_images(temperature):
    student, teacher = maps(3, 5)
    rows = zip(student.tolist(), teacher.tolist(), strict=True)
    expected = sum(divergence(*row, temperature) for row in rows) / 3
    assert kl_divergence(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_kl_of_maps_is_the_mean_over_images_and_positions():
    student, teacher = maps(2, 3, 2, 4)
    places = [(b, h, w) for b in range(2) for h in range(2) for w in range(4)]
    each = [divergence(student[b, :, h, w].tolist(), teacher[b, :, h, w].tolist(), 2.0) for b, h, w in places]
    assert kl_divergence(student, teacher, 2.0).item() == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_channel_wise_divergence_compares_where_a_channel_is_strong():
    student, teacher = maps(2, 3, 2, 4)
    each = [
        divergence(student[b, k].flatten().tolist(), teacher[b, k].flatten().tolist(), 3.0)
        for b in range(2)
        for k in range(3)
    ]
    assert channel_wise_divergence(student, teacher, 3.0).item() == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_channel_wise_divergence_does_not_see_a_constant_a_channel():
    student, teacher = maps(2, 3, 4, 4)
    shifted = student + torch.randn(2, 3, 1, 1, dtype=torch.float64)
    expected = channel_wise_divergence(student, teacher, 2.0)
    torch.testing.assert_close(channel_wise_divergence(shifted, teacher, 2.0), expected, rtol=1e-4, atol=1e-6)


def test_kl_of_one_channel_is_that_of_a_sigmoid():
    student, teacher = maps(4, 1)
    learned, taught = student.sigmoid(), teacher.sigmoid()
    expected = taught * (taught / learned).log() + (1 - taught) * ((1 - taught) / (1 - learned)).log()
    torch.testing.assert_close(kl_divergence(student, teacher).double(), expected.mean(), rtol=1e-4, atol=1e-6)


@each_loss
def test_equal_logits_have_no_distance_and_others_have_one(loss):
    student, teacher = maps(2, 3, 4, 4)
    assert loss(teacher, teacher.clone(), 4.0) == 0
    assert loss(student, teacher, 4.0) > 0


@each_loss
def test_gradient_is_that_of_finite_differences(loss):
    student, teacher = maps(2, 3, 2, 3)
    content = torch.ones(2, 1, 2, 3, dtype=torch.bool)
    content[1, :, :, 2] = False
    for mask in (None, content):
        logits = student.float().requires_grad_()
        loss(logits, teacher.float(), 2.0, mask).backward()
        for place in ((0, 1, 0, 1), (1, 2, 1, 0), (1, 0, 0, 2)):
            step = torch.zeros_like(logits)
            step[place] = 1e-2
            up, down = (loss(logits.detach() + sign * step, teacher.float(), 2.0, mask) for sign in (1, -1))
            assert logits.grad[place].item() == pytest.approx(((up - down) / 2e-2).item(), abs=2e-4)


@each_loss
def test_padding_does_not_count(loss):
    student, teacher = maps(2, 3, 4, 6)
    content = torch.zeros(2, 1, 4, 6, dtype=torch.bool)
    content[:, :, :3, :4] = True
    expected = loss(student[..., :3, :4], teacher[..., :3, :4], 2.0)
    torch.testing.assert_close(loss(student, teacher, 2.0, content), expected)


def test_kl_of_padding_alone_is_zero():
    student, teacher = maps(1, 3, 2, 2)
    assert kl_divergence(student, teacher, 1.0, torch.zeros(1, 1, 2, 2, dtype=torch.bool)) == 0


def test_temperature_keeps_the_size_of_the_gradient():
    student, teacher = maps(4, 10)
    norms = []
    for temperature in (20.0, 40.0):
        logits = student.clone().requires_grad_()
        kl_divergence(logits, teacher, temperature).backward()
        norms.append(logits.grad.norm().item())
    assert norms[0] == pytest.approx(norms[1], rel=0.1)


@pytest.mark.parametrize('kind', [KLDistillation, ChannelWiseDistillation])
def test_weight_scales_a_loss(kind):
    student, teacher = maps(2, 3, 4, 4)
    torch.testing.assert_close(kind(2.0, 3.0)(student, teacher), 3 * kind(2.0, 1.0)(student, teacher))


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match='temperature of a distillation must be above 0, got 0'):
        KLDistillation(temperature=0)
    with pytest.raises(ValueError, match='weight of a distillation must be at least 0, got -1'):
        ChannelWiseDistillation(weight=-1)


def test_scores_without_places_are_refused_for_channel_wise_distillation():
    with pytest.raises(ValueError, match=r'compares maps of logits, got the shape \(2, 3\).*mmdas\.KLDistillation'):
        channel_wise_divergence(*maps(2, 3))
