"""A critic on features, for the step of Faster AutoAugment (Hataya et al., ECCV 2020)."""

from torch import Tensor, nn

from mmdas.registry import TASK_UTILS


@TASK_UTILS.register_module()
class LinearCritic(nn.Module):
    """A linear layer on the mean of feature maps.

    Args:
        channels: of the last maps of the backbone.

    Shape:
        features (N, channels, h, w) -> values (N,).

    Raises:
        ValueError: in ``forward``, for maps with another number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        check_channels(features, self.linear.in_features)
        return self.linear(features.mean(dim=(-2, -1))).squeeze(1)


def check_channels(features: Tensor, channels: int) -> None:
    """Raise a ValueError for maps (N, C, h, w) of another C."""
    if features.shape[1] != channels:
        raise ValueError(
            f'the last maps of the backbone have {features.shape[1]} channels; set train_cfg.step.critic.channels '
            f'to it, it is {channels}'
        )
