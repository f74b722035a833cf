"""The critic of Faster AutoAugment (Hataya et al., ECCV 2020), as its code has it."""

from torch import Tensor, nn

from mmdas.registry import TASK_UTILS

from .linear_critic import check_channels


@TASK_UTILS.register_module()
class PerceptronCritic(nn.Module):
    """A hidden layer as wide as the mean of feature maps that it takes, and a linear one.

    Args:
        channels: of the last maps of the backbone.

    Shape:
        features (N, channels, h, w), or (N, channels) of a backbone that takes the mean itself -> values (N,).

    Raises:
        ValueError: in ``forward``, for maps with another number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden, self.linear = nn.Linear(channels, channels), nn.Linear(channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        check_channels(features, self.linear.in_features)
        means = features.flatten(2).mean(dim=2) if features.dim() > 2 else features
        return self.linear(self.hidden(means).relu()).squeeze(1)
