"""Sizes that decide a clip: of the images in a batch, and those that a training finds out."""

from collections.abc import Sequence

from mmengine.dist import broadcast_object_list, is_distributed

from mmdas.search.das.operation import Size


class NotedSizes:
    """Sizes that a training finds out; copies of a model share them, so that its averages know them too.

    Attributes:
        reference: (H, W) that shifts count in, where policy and config leave it open.
        training: (H, W), the largest sides of a clip.
    """

    def __init__(self) -> None:
        self.reference: Size | None = None
        self.training: Size | None = None

    def __deepcopy__(self, memo: dict) -> 'NotedSizes':
        return self


def first_of_all(size: Size) -> Size:
    """The size that the first of all processes has."""
    if not is_distributed():
        return size
    sizes = [size]
    broadcast_object_list(sizes)
    return tuple(sizes[0])


def group_by_size(sizes: Sequence[Size] | None, canvas: Size) -> dict[Size, list[int]]:
    """Places in the batch of the images of each size, within the canvas."""
    groups: dict[Size, list[int]] = {}
    for place, size in enumerate(sizes or ()):
        groups.setdefault((min(size[0], canvas[0]), min(size[1], canvas[1])), []).append(place)
    return groups or {tuple(canvas): []}


def as_text(size: Size | None) -> str:
    """A size in a record, always of the same length: averaged models copy records like parameters."""
    return '{:06d} x {:06d}'.format(*(size or (0, 0)))


def as_size(text: str | None) -> Size | None:
    """Inverse of :func:`as_text`."""
    height, width = (int(side) for side in (text or '0 x 0').split(' x '))
    return (height, width) if height and width else None
