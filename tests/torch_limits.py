"""What the installed PyTorch cannot do, for the tests that need it."""

import pytest
import torch
import torch.nn.functional as F


def has_second_derivatives_of_sampling() -> bool:
    """Whether a gradient through ``grid_sample`` has a gradient."""
    image = torch.rand(1, 1, 2, 2, requires_grad=True)
    sampled = F.grid_sample(image, torch.zeros(1, 1, 1, 2), align_corners=False)
    (first,) = torch.autograd.grad(sampled.square().sum(), image, create_graph=True)
    try:
        torch.autograd.grad(first.sum(), image)
    except RuntimeError:
        return False
    return True


needs_second_derivatives = pytest.mark.skipif(
    not has_second_derivatives_of_sampling(),
    reason=f'torch {torch.__version__} has no derivative of aten::grid_sampler_2d_backward',
)
