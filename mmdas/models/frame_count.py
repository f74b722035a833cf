"""The number of frames of a part: its config gives it, or what comes does."""

from typing import Any

from mmengine.logging import print_log

from .settings import Recorded


class FrameCount(Recorded):
    """Mixin of a recorded module that takes T from its config, or else from what comes.

    A T that is given stays. An open one is what a segmentor of DAS tells, or a checkpoint. Else it is that of the
    latest batch.

    Args:
        num_frames: T >= 1, or None to leave it open.
        any_frames: whether images of fewer frames than T may come, each batch with its own number.

    Attributes:
        num_frames: T; None as long as it is not known.
        frames_now: of the latest batch, where any number may come; None for T.

    Raises:
        ValueError: if T is below 1, or if an open T turns out to be 1 where modules are made for more.
    """

    num_frames: int | None
    frames_now: int | None

    def __init__(self, num_frames: int | None, any_frames: bool = False) -> None:
        super().__init__()
        if num_frames is not None and num_frames < 1:
            raise ValueError(f'{self.place}.num_frames must be at least 1, got {num_frames}')
        self.num_frames = num_frames
        self.any_frames, self.frames_now = any_frames, None
        self.is_open = num_frames is None
        self.is_recorded = False  # whether an open T is that of a checkpoint

    def settings(self) -> dict[str, Any]:
        """Frames, as far as they are known."""
        return {} if self.num_frames is None else {'num_frames': self.num_frames}

    def adopt(self, settings: dict[str, Any]) -> None:
        """Take T up from a checkpoint's record, where it is open."""
        if self.is_open and 'num_frames' in settings:
            self.set_frames(settings['num_frames'])
            self.is_recorded = True

    def tell(self, num_frames: int) -> None:
        """Fix an open T."""
        if self.is_open:
            self.set_frames(num_frames)
            self.is_open = False

    def fits(self, num_frames: int) -> bool:
        """Whether images of so many frames may come; an open T follows them."""
        if self.any_frames and self.num_frames is not None and num_frames <= self.num_frames:
            self.follow(num_frames)
            return True
        if self.is_open and num_frames != self.num_frames:
            self.set_frames(num_frames)
            self.is_recorded = False
            print_log(f'{self.place}.num_frames is open; an image comes as {num_frames} frames', logger='current')
        return num_frames == self.num_frames

    def follow(self, num_frames: int) -> None:
        """Take a batch of fewer frames than T."""
        self.frames_now = num_frames

    def set_frames(self, num_frames: int) -> None:
        """Set T."""
        if num_frames == 1 and next(self.children(), None) is not None:
            raise ValueError(
                f'an image has one frame, but {self.place} has modules for several; set data_preprocessor.num_frames '
                f'to the number of frames, or {self.place}.num_frames=1 for the plain model'
            )
        self.num_frames = num_frames
