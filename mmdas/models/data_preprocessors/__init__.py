"""Data preprocessors that end with the step from image to clip."""

from .cls_data_preprocessor import DASClsDataPreprocessor
from .image_to_clip import ImageToClip
from .seg_data_preprocessor import DASSegDataPreProcessor

__all__ = ['DASClsDataPreprocessor', 'DASSegDataPreProcessor', 'ImageToClip']
