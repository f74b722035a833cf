"""What all regularisers of feature maps have."""

from collections.abc import Sequence

from torch import Tensor, nn

from .error import FeatureError


class FeatureRegularizer(nn.Module):
    """A module without parameters that changes feature maps in training mode, and passes them on in evaluation.

    All random numbers come from PyTorch's generator of the CPU, so that a resumed training draws what an uninterrupted
    one does. The frames of an image share what is drawn: for a network they are one image.

    Attributes:
        stages: positions, among the stages of a backbone, at which the module acts by default.

    Shape:
        features (B*T, C, h, w), the T frames of an image adjacent -> the same.

    Raises:
        FeatureError: in a call for features that are no maps, or do not divide into images of T frames.
    """

    stages: Sequence[int] = (-2, -1)

    def forward(self, features: Tensor, num_frames: int = 1) -> Tensor:
        """Features, changed in training mode.

        Args:
            features: (B*T, C, h, w).
            num_frames: T. Default: 1, images.
        """
        if not self.training:
            return features
        if features.ndim != 4 or len(features) % num_frames:
            raise FeatureError(
                f'mmdas.{type(self).__name__} takes maps (B*T, C, h, w) of T={num_frames} frames an image, got the '
                f'shape {tuple(features.shape)}'
            )
        return self.regularize(features, num_frames)

    def regularize(self, features: Tensor, num_frames: int) -> Tensor:
        """Features (B*T, C, h, w) as a training takes them.

        Raises:
            NotImplementedError: where a subclass has no such method.
        """
        raise NotImplementedError

    def check_share(self, name: str, value: float) -> float:
        """A setting in [0, 1].

        Raises:
            FeatureError: for another number.
        """
        if not 0 <= value <= 1:
            raise FeatureError(f'{name} of mmdas.{type(self).__name__} must be in [0, 1], got {value}')
        return value
