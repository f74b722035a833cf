"""Data preprocessors that end with the step from image to clip; each toolbox's is imported when it is asked for."""

from .image_to_clip import ImageToClip
from .pixel_values import PixelError

__all__ = ['ImageToClip', 'PixelError']
