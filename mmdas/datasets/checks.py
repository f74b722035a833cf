"""Checks that a data set of this package makes of what it was told to read."""

from mmseg.datasets import BaseSegDataset


def require_samples(dataset: BaseSegDataset, data_list: list[dict]) -> list[dict]:
    """Refuse an empty split when the data set is built, long before a sampler or a metric would stumble over it.

    Args:
        dataset: The data set that found the samples; its source is named in the error.
        data_list: What its ``load_data_list`` found.

    Returns:
        ``data_list``, unchanged.

    Raises:
        ValueError: If ``data_list`` is empty.
    """
    if not data_list:
        source = dataset.ann_file or f'{dataset.data_prefix["img_path"]} (*{dataset.img_suffix})'
        raise ValueError(
            f'{type(dataset).__name__} found no image in {source}; '
            'check its data_root, data_prefix, ann_file and img_suffix'
        )
    return data_list
