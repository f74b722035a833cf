"""Whatever may be asked of a cell or a policy on its fast path is what the plain form gives, derivatives above all."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacrev, vmap
from torch_limits import needs_second_derivatives

from mmdas.search.das import DASCell, Policy, PolicyClip

CLOSE = {'atol': 1e-12, 'rtol': 1e-9}


@pytest.fixture(params=[True, False], ids=['shared', 'per edge'])
def cell(request) -> DASCell:
    cell = DASCell(3, num_nodes=2, share_strength=request.param).double()
    nn.init.normal_(cell.logits)
    return cell


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 5, 6, dtype=torch.float64)


def loss_of(clip: Tensor) -> Tensor:
    return (clip.pow(3) - clip.square()).mean()


def hessian_vector_products(
    form: Callable[[Tensor], Tensor], inputs: tuple[Tensor, ...], images: Tensor
) -> list[Tensor]:
    """With vectors of random numbers, of all second derivatives in the inputs."""
    first = torch.autograd.grad(loss_of(form(images)), inputs, create_graph=True)
    generator = torch.Generator().manual_seed(2)
    vectors = [torch.randn(value.shape, generator=generator, dtype=value.dtype) for value in inputs]
    return list(torch.autograd.grad(first, inputs, vectors))


@needs_second_derivatives
@pytest.mark.parametrize('of_images', [False, True])
def test_hessian_vector_product_equals_that_of_the_loop(cell: DASCell, images: Tensor, of_images: bool) -> None:
    inputs = (cell.logits, images.requires_grad_()) if of_images else (cell.logits,)
    actual, expected = (hessian_vector_products(form, inputs, images) for form in (cell, cell._loop))
    assert cell._operators._entries  # of the fast path
    torch.testing.assert_close(actual, expected, **CLOSE)


@needs_second_derivatives
def test_hessian_vector_product_after_a_decision_equals_that_of_the_loop(cell: DASCell, images: Tensor) -> None:
    cell.choose(1, 2)
    cell.keep_edges(3, [2, 4])
    actual, expected = (hessian_vector_products(form, (cell.logits,), images) for form in (cell, cell._loop))
    torch.testing.assert_close(actual, expected, **CLOSE)


@needs_second_derivatives
def test_backward_through_a_gradient_equals_that_of_the_loop(cell: DASCell, images: Tensor) -> None:
    results = []
    for form in (cell, cell._loop):
        cell.logits.grad = None
        (first,) = torch.autograd.grad(loss_of(form(images)), cell.logits, create_graph=True)
        first.square().sum().backward()
        results.append(cell.logits.grad)
    torch.testing.assert_close(*results, **CLOSE)


def test_forward_mode_is_refused(cell: DASCell, images: Tensor) -> None:
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match='forward mode'):
        cell(forward_ad.make_dual(images, torch.ones_like(images)))


@pytest.mark.parametrize('vectorize', [False, True])
def test_hessian_equals_that_of_the_loop(images: Tensor, vectorize: bool) -> None:
    cell = DASCell(2, num_nodes=1, seed=1).double()

    def hessian(loop: bool) -> Tensor:
        cell.forward = cell._loop if loop else type(cell).forward.__get__(cell)
        logits = cell.logits.detach().clone()
        function = lambda logits: loss_of(functional_call(cell, {'logits': logits}, images))  # noqa: E731
        return torch.autograd.functional.hessian(function, logits, vectorize=vectorize)

    torch.testing.assert_close(hessian(loop=False), hessian(loop=True), **CLOSE)


TRANSFORMS = {
    'grad': lambda function, logits, images: grad(lambda x: loss_of(function(x, images)))(logits),
    'grad of images': lambda function, logits, images: grad(lambda x: loss_of(function(logits, x)))(images),
    'jacrev of grad': lambda function, logits, images: jacrev(grad(lambda x: loss_of(function(x, images))))(logits),
    'vmap': lambda function, logits, images: vmap(function)(torch.stack([logits, 2 * logits]), images.unsqueeze(1)),
    'vmap of grad': lambda function, logits, images: vmap(
        grad(lambda x, image: loss_of(function(x, image.unsqueeze(0)))), in_dims=(None, 0)
    )(logits, images),
}


@pytest.mark.parametrize(
    'transform',
    [pytest.param(name, marks=needs_second_derivatives) if 'jacrev' in name else name for name in TRANSFORMS],
)
def test_transforms_of_functions_equal_those_of_the_loop_and_leave_no_trace(
    cell: DASCell, images: Tensor, transform: str
) -> None:
    logits, before = cell.logits.detach().clone(), cell._loop(images).detach()

    def function(logits: Tensor, images: Tensor) -> Tensor:
        return functional_call(cell, {'logits': logits}, images)

    fast = [TRANSFORMS[transform](function, logits, images) for _ in range(2)]
    torch.testing.assert_close(cell(images), before, **CLOSE)
    cell.forward = cell._loop
    expected = TRANSFORMS[transform](function, logits, images)
    torch.testing.assert_close(fast, [expected] * 2, **CLOSE)


@pytest.mark.parametrize('kept', [False, True], ids=['first', 'after a clip'])
@pytest.mark.parametrize(
    'transform',
    [vmap, pytest.param(lambda form: jacrev(grad(lambda x: loss_of(form(x)))), marks=needs_second_derivatives)],
    ids=['vmap', 'jacrev'],
)
def test_transforms_of_a_policy_equal_those_of_its_samples(transform: Callable, kept: bool, images: Tensor) -> None:
    edges = [
        dict(source=0, target=2, operation='rotate', strength=5.0),
        dict(source=1, target=2, operation='identity', strength=0.0),
    ]
    clip = PolicyClip(Policy.from_dict(dict(schema_version=1, num_frames=3, num_nodes=1, edges=edges)))
    if kept:
        clip(images)
    batch = images.unsqueeze(1) if transform is vmap else images[:, :1, :2, :2]
    fast = [transform(clip)(batch) for _ in range(2)]
    clip._operator = lambda *_: None
    torch.testing.assert_close(fast, [transform(clip)(batch)] * 2, **CLOSE)
