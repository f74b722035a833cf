import torch
from torch import nn

from mmdas.search.gradient_penalty import gradient_penalty


def test_penalty_of_a_linear_critic_depends_on_its_slope_alone():
    slope = torch.randn(3, 4, 4, dtype=torch.float64)
    pair = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64)
    penalty = gradient_penalty(lambda images: (slope * images).sum(dim=(1, 2, 3)), *pair)
    torch.testing.assert_close(penalty, (slope.norm() - 1) ** 2)


def test_penalty_trains_the_critic():
    critic = nn.Linear(6, 1).double()
    gradient_penalty(lambda x: critic(x.flatten(1))[:, 0], *torch.randn(2, 5, 6, dtype=torch.float64)).backward()
    expected = 2 * (1 - 1 / critic.weight.norm()) * critic.weight
    torch.testing.assert_close(critic.weight.grad, expected.detach())


def test_penalty_goes_through_attention():
    projection = nn.Linear(4, 4)

    def critic(images: torch.Tensor) -> torch.Tensor:
        tokens = projection(images)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).mean(dim=(1, 2))

    gradient_penalty(critic, torch.rand(2, 3, 4), torch.rand(2, 3, 4)).backward()
    assert projection.weight.grad.abs().max() > 0
