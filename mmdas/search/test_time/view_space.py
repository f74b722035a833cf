"""The views that a search chooses from, in groups."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .view import View

GROUPS: Mapping[str, tuple[View, ...]] = {
    'flip': (View(flip=True),),
    'shift': tuple(View(f'translate_{axis}', sign * 1 / 16) for axis in 'xy' for sign in (1, -1)),
    'rotate': tuple(View('rotate', degrees) for degrees in (8.0, -8.0)),
    'zoom': tuple(View('scale', factor) for factor in (0.15, -0.1)),
    'size': tuple(View(size=size) for size in (0.75, 1.25, 1.5)),
    'colour': tuple(
        View(name, strength)
        for name, strengths in (('brightness', (-0.2, 0.2)), ('contrast', (-0.2, 0.2)), ('sharpness', (-0.5, 0.5)))
        for strength in strengths
    ),
}
MIRRORED = ('shift', 'size')  # groups whose views come as mirror images, too, where 'flip' is among the groups


def build_views(groups: Sequence[str] = tuple(GROUPS)) -> tuple[View, ...]:
    """The image and the views of some groups.

    Args:
        groups: words of ``GROUPS``. Default: all.

    Returns:
        The image first.

    Raises:
        ValueError: for a word that is none of them, or twice the same.
    """
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise ValueError(f'there is no group of views {unknown[0]!r}; known are {sorted(GROUPS)}')
    if len(set(groups)) < len(groups):
        raise ValueError(f'a group of views stands twice in {list(groups)}')
    views = [View(), *(view for group in groups for view in GROUPS[group])]
    if 'flip' in groups:
        views += [replace(view, flip=True) for group in groups if group in MIRRORED for view in GROUPS[group]]
    return tuple(views)
