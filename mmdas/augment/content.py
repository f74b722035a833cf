"""What of a batch is content, and what pads it."""

from collections.abc import Sequence

from mmdas.search.das.operation import Size


def content_sizes(samples: Sequence | None, canvas: Size) -> list[Size] | None:
    """(H, W) of the images without what the data preprocessor padded; None where nothing is padded.

    Args:
        samples: of segmentation. Contents lie in the upper left corner.
        canvas: (H, W) of the batch.
    """
    sizes: list[Size] = []
    for sample in samples or ():
        # SegDataPreProcessor notes (left, right, top, bottom) under one name in training, another in tests
        padding = sample.metainfo.get('img_padding_size', sample.metainfo.get('padding_size', (0, 0, 0, 0)))
        sizes.append((canvas[0] - int(padding[3]), canvas[1] - int(padding[1])))
    return sizes if any(size != tuple(canvas) for size in sizes) else None
