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


def strides_of(canvas: Size, maps: Size) -> Size:
    """Pixels of a canvas that a cell of feature maps stands for, along both sides.

    The nearest whole number: 45 pixels make 12 cells at a stride of 4.

    Args:
        canvas: (H, W) in pixels.
        maps: (h, w) in cells.

    Raises:
        ValueError: for maps that are finer than the canvas.
    """
    if maps[0] > canvas[0] or maps[1] > canvas[1]:
        raise ValueError(
            f'images of {canvas[0]} x {canvas[1]} pixels became feature maps of {maps[0]} x {maps[1]} cells, which are '
            'finer; let frames part at another place (part_after of FrameFusionBackbone)'
        )
    return round(canvas[0] / maps[0]), round(canvas[1] / maps[1])


def cells_of(sizes: Sequence[Size] | None, stride: Size) -> list[Size]:
    """(h, w) of the cells that show contents of so many pixels, rounded up to whole cells."""
    return [(-(-height // stride[0]), -(-width // stride[1])) for height, width in sizes or ()]


def as_text(size: Size | None) -> str:
    """A size in a record, always of the same length: averaged models copy records like parameters."""
    return '{:06d} x {:06d}'.format(*(size or (0, 0)))


def as_size(text: str | None) -> Size | None:
    """Inverse of :func:`as_text`."""
    height, width = (int(side) for side in (text or '0 x 0').split(' x '))
    return (height, width) if height and width else None
