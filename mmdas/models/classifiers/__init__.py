"""Classifiers that hand the warps of the frames to their backbone. MMPretrain is imported when they are asked for."""

__all__: list[str] = []
