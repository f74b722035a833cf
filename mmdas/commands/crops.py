"""Tests by the crops of the corners and the centre (Krizhevsky et al., NIPS 2012, Sec. 4.1)."""

from typing import Any

CROPS = (5, 10)


def crop_pipeline(pipeline: list[dict], crops: int) -> list[dict]:
    """Test pipeline that gives the corners and the centre in place of ``CenterCrop``.

    Args:
        pipeline: of the test.
        crops: 5, or 10 with the mirror images.

    Raises:
        ValueError: for a pipeline without ``CenterCrop``, which says how large a crop is.
    """
    from mmdas.augment.place_crop import PLACES
    from mmdas.registry import type_name

    names = [type_name(step) for step in pipeline]
    if 'CenterCrop' not in names:
        raise ValueError(
            f'--crops {crops} takes crops in the place of CenterCrop, but the test pipeline has {", ".join(names)}; '
            'resize to a larger side and add CenterCrop by --cfg-options or in the config'
        )
    place = names.index('CenterCrop')
    size = pipeline[place]['crop_size']
    sides = size if isinstance(size, int) else tuple(size)[::-1]  # (width, height) in CenterCrop
    parts: list[list[dict[str, Any]]] = [
        [{'type': 'mmdas.PlaceCrop', 'crop_size': sides, 'place': one} for one in PLACES]
    ]
    if crops == 10:
        parts.append([{'type': 'RandomFlip', 'prob': probability} for probability in (0.0, 1.0)])
    parts += [[step] for step in pipeline[place + 1 :]]
    return [*pipeline[:place], {'type': 'TestTimeAug', 'transforms': parts}]
