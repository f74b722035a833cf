"""Segmentors that make the clip of what their backbone is about to see."""

from .clip_segmentor import ClipSegmentor, DASCascadeEncoderDecoder, DASEncoderDecoder

__all__ = ['ClipSegmentor', 'DASCascadeEncoderDecoder', 'DASEncoderDecoder']
