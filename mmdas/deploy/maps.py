"""One map for each image, for tools that see the frames of a DAS model as so many images."""

from torch import Tensor

from mmdas.ops.clip import reference_frame, split_frames


class ReferenceMaps:
    """Of what a layer gives for the frames of each image, take that of the reference frame, which is the image itself.

    Tools for class activation maps hook a layer, and know nothing of frames. Of B images they find B*T activations and
    gradients. This is the ``reshape_transform`` of pytorch-grad-cam; others, as torchcam, return B*T maps, to which it
    is applied afterwards. The maps lie on the image, since no operation moves the reference frame; the fusion lets
    them see the other frames, too.

    Args:
        num_frames: T; of a model with ``used_frames``, that number.

    Shape:
        (B*T, ...) -> (B, ...).

    Raises:
        ValueError: in a call, if the frames do not divide into clips of T.
    """

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames

    def __call__(self, maps: Tensor) -> Tensor:
        return split_frames(maps, self.num_frames)[:, reference_frame(self.num_frames)]
