import pytest
import torch
from torch import Tensor, nn

from mmdas.ops.saliency import input_saliency, integral_image, region_importance

B, C, H, W = 3, 2, 5, 4


def smooth_score(images: Tensor) -> Tensor:
    """A score with a different derivative in every pixel."""
    weights = torch.linspace(-2, 3, C * H * W, dtype=images.dtype).view(C, H, W)
    return (images * weights).sin().sum((1, 2, 3))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(B, C, H, W, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_saliency_is_the_finite_difference(images: Tensor):
    step, expected = 1e-6, torch.empty(B, C, H, W, dtype=torch.float64)
    for place in torch.cartesian_prod(*(torch.arange(size) for size in images.shape)).tolist():
        shift = torch.zeros_like(images)
        shift[tuple(place)] = step
        change = smooth_score(images + shift) - smooth_score(images - shift)
        expected[tuple(place)] = change[place[0]] / (2 * step)
    torch.testing.assert_close(input_saliency(smooth_score, images), expected.abs().amax(1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('context', [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_saliency_is_the_same_with_and_without_gradients(images: Tensor, context: type):
    expected = input_saliency(smooth_score, images)
    with context():
        found = input_saliency(smooth_score, images.clone())
    assert torch.equal(found, expected)
    assert not found.requires_grad


def test_weights_and_images_get_no_gradient(images: Tensor):
    net = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, 1), nn.Flatten(0)).double()
    net[1].weight.grad = kept = torch.ones_like(net[1].weight)
    images.requires_grad_()
    saliency = input_saliency(net, images)
    torch.testing.assert_close(saliency, net[1].weight.detach().view(C, H, W).abs().amax(0).expand(B, H, W))
    assert net[1].weight.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    assert net[1].bias.grad is None
    assert images.grad is None


def test_backward_of_a_training_step_is_not_disturbed(images: Tensor):
    net = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, 1), nn.Flatten(0)).double()
    loss = net(images).square().sum()
    expected = torch.autograd.grad(loss, net[1].weight, retain_graph=True)[0]
    input_saliency(net, images)
    loss.backward()
    assert torch.equal(net[1].weight.grad, expected)


def test_saliency_of_half_images_is_float32(images: Tensor):
    found = input_saliency(lambda x: x.flatten(1).sum(1), images.half())
    assert found.dtype == torch.float32
    assert (found == 1).all()


@pytest.mark.parametrize(
    ('score', 'problem'),
    [
        (lambda images: images.mean((2, 3)), r'shape \(3, 2\).*one number for each image'),
        (lambda images: images.detach().mean((1, 2, 3)), 'does not depend on the images'),
        (lambda images: images.new_ones(B).requires_grad_() * 2, 'does not depend on the images'),
    ],
)
def test_score_that_has_no_saliency_is_refused(images: Tensor, score, problem: str):
    with pytest.raises(ValueError, match=problem):
        input_saliency(score, images)


def test_integral_image_sums_rectangles(images: Tensor):
    sums = integral_image(images)
    assert sums.shape == (B, C, H + 1, W + 1)
    for y in range(H + 1):
        for x in range(W + 1):
            torch.testing.assert_close(sums[..., y, x], images[..., :y, :x].sum((-2, -1)))


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (H, 1), (1, W), (H, W)])
def test_importance_is_the_sum_over_each_region(images: Tensor, size: tuple[int, int]):
    saliency = images[:, 0].float()
    importance = region_importance(saliency, size)
    assert importance.shape == (B, H - size[0] + 1, W - size[1] + 1)
    windows = saliency.double().unfold(1, size[0], 1).unfold(2, size[1], 1)
    torch.testing.assert_close(importance, windows.sum((-2, -1)))


def test_equal_saliency_gives_exactly_equal_importance():
    importance = region_importance(torch.full((1, 60, 70), 0.1), (17, 23))
    assert importance.unique().numel() == 1


@pytest.mark.parametrize('size', [(0, 1), (1, 0), (H + 1, 1), (1, W + 1)])
def test_size_that_does_not_fit_is_refused(images: Tensor, size: tuple[int, int]):
    with pytest.raises(ValueError, match=f'{size[0]} x {size[1]}, expected sides from 1 to {H} x {W}'):
        region_importance(images[:, 0], size)
