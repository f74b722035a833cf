"""What can be wrong with labels: their values, their channels, their sizes, and how many classes there are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmdas.engine.data_error import DataError
from mmdas.engine.data_files import color_fault, image_size, inner_datasets, leaves_upright, size_text
from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.hosts import Host, all_hosts
from mmdas.registry import loaded


def check_labels(sample: Any, num_classes: int, ignore_index: int = 255) -> None:
    """Check the labels of one data sample of a toolbox against classes 0 .. num_classes - 1.

    Raises:
        DataError: naming the file, for a label outside the classes or a label image of several channels.
    """
    file = sample_file(sample)
    host = host_of_labels(sample)
    if host is None:
        return
    labels, ignored = host.labels(sample), ignore_index if host.label_maps else None
    if host.label_maps:
        num_classes = max(num_classes, 2)  # a binary head of one channel has two labels
        if labels.shape[0] != 1:
            raise DataError(color_fault(file, tuple(labels.shape)))
    outside = (labels < 0) | (labels >= num_classes)
    if ignored is not None:
        outside = outside & (labels != ignored)
    if outside.any():
        wrong = torch.unique(labels[outside]).tolist()
        hint = '; masks of 0 and 255 must become 0 and 1' if wrong == [255] else ''
        raise DataError(
            f'labels {wrong} of {file} lie outside the {num_classes} classes 0..{num_classes - 1}; correct num_classes '
            f"of the head, the data set's labels, or the transforms that change them{hint}"
        )


def host_of_labels(sample: Any) -> Host | None:
    """The host whose labels a data sample has, if any."""
    return next((host for host in all_hosts() if host.label in sample), None)


def label_map(sample: Any) -> torch.Tensor | None:
    """The label map of a data sample, if it has one."""
    host = host_of_labels(sample)
    return host.labels(sample) if host is not None and host.label_maps else None


def sample_file(sample: Any) -> str:
    """Name of a data sample's file: the label image's, else the image's."""
    return sample.get('seg_map_path') or sample.get('img_path') or 'an image'


def is_ignored(sample: Any, ignore_index: int) -> bool:
    """Whether no pixel of a data sample counts."""
    labels = label_map(sample)
    return labels is not None and bool((labels == ignore_index).all())


def size_fault(sample: Any, image: torch.Tensor | None) -> str | None:
    """What is wrong with the size of a data sample's label map, if anything.

    Args:
        sample: of a toolbox.
        image: (C, H, W) as the pipeline leaves it. A test may keep labels in the size of the file.
    """
    labels = label_map(sample)
    if labels is None or image is None:
        return None
    size = tuple(labels.shape[-2:])
    known = tuple(image.shape[-2:]), tuple(sample.get('ori_shape') or ())[:2]
    return None if size in known else size_text(sample_file(sample), size, known[0])


def check_num_classes(outputs: int, classes: Sequence[str], key: str, mode: str) -> str | None:
    """Compare the number of outputs of a head with the classes of a data set.

    Args:
        outputs: classes that the head tells apart.
        classes: of the data set.
        key: what says the number, for the message.
        mode: ``'train'``, ``'val'`` or ``'test'``.

    Returns:
        A warning if there are more outputs than classes.

    Raises:
        DataError: if there are fewer.
    """
    numbers = f'{key} is {outputs}, but the data set of {mode}_dataloader has {len(classes)} classes'
    if outputs < len(classes):
        raise DataError(f'{numbers}; set num_classes={len(classes)}, or correct classes in metainfo of the data set')
    if outputs == len(classes):
        return None
    return (
        f'{numbers}: {outputs - len(classes)} outputs are never right; set num_classes={len(classes)}. A placeholder '
        'such as {{_base_.meta.classes}} has no length while its config runs: write the number'
    )


def check_class_names(classes: Sequence[str], mode: str, known: Mapping[str, Sequence[str]]) -> str | None:
    """Compare the names of the classes of a data set with those of others of the same run.

    Args:
        classes: of the data set, by their numbers.
        mode: ``'train'``, ``'val'`` or ``'test'``.
        known: other modes, with their classes.

    Returns:
        A warning if a number has another name there.

    Raises:
        DataError: if the classes are the same in another order.
    """
    here = [str(name).casefold() for name in classes]
    for other, others in known.items():
        there = [str(name).casefold() for name in others]
        number = next((n for n, pair in enumerate(zip(there, here, strict=False)) if pair[0] != pair[1]), None)
        if number is None or not set(here) & set(there):  # a retrieval is tested on classes of its own
            continue
        text = (
            f'class {number} is {others[number]!r} in {other}_dataloader and {classes[number]!r} in {mode}_dataloader'
        )
        if sorted(there) == sorted(here):
            raise DataError(f'{text}; give classes of both the same order in metainfo, or in classes')
        return f'{text}: labels of both go to the same output; give both the same classes'
    return None


def find_label_faults(dataset: Any, count: int, ignore_index: int, classes: Sequence) -> Iterator[tuple[str, str]]:
    """Look at some label files of a data set, as its own pipeline loads them.

    Args:
        dataset: of any type; one whose pipeline reads no label maps has no label files.
        count: files to look at. Where the data set has no more, the classes that none of them holds are a fault.
        ignore_index: label of the pixels that do not count.
        classes: names or numbers of the classes.

    Yields:
        kind and message of each fault.
    """
    found: set[int] = set()
    looked, file = 0, ''
    for info, labels, image in load_labels(dataset, count):
        looked += 1
        file = info.get('seg_map_path', '')
        if image is not None and image != labels.shape[:2]:
            yield 'size', size_text(file, labels.shape[:2], image)
        if labels.ndim == 2:
            found.update(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    if ignore_index in found and len(found) < 3:
        yield (
            'one class',
            f'the {looked} label images looked at, such as {file}, hold no class but {sorted(found - {ignore_index})}; '
            f'all other pixels are {ignore_index}, which is ignored: nothing else is learned or tested. Write masks of '
            '0 and 255 as 0 and 1, or set ignore_index of the head',
        )
    missing = [name for number, name in enumerate(classes) if number not in found]
    if found and missing and looked == sum(map(len, inner_datasets(dataset))):
        yield 'classes', missing_classes(missing, f'pixel in the {looked} label images, such as {file}')


def missing_classes(missing: Sequence, where: str) -> str:
    """The message for classes without labels."""
    return (
        f'the classes {list(missing)} have no {where}: they are not learned or tested; correct the labels, the '
        'label_map or reduce_zero_label of the data set, or its classes'
    )


def load_labels(dataset: Any, count: int) -> Iterator[tuple[dict, np.ndarray, tuple[int, int] | None]]:
    """Annotation, labels and size of the image of at most ``count`` samples, spread over a data set and its parts."""
    loaders = tuple(loader for host in all_hosts() for loader in loaded(*host.label_loader))
    inner = list(inner_datasets(dataset))
    for part in inner:
        steps = getattr(getattr(part, 'pipeline', None), 'transforms', ())
        load = next((step for step in steps if isinstance(step, loaders)), None)
        if load is None or not hasattr(part, 'get_data_info') or not len(part):
            continue
        turned = not any(leaves_upright(step) for step in steps)
        for index in np.unique(np.linspace(0, len(part) - 1, max(count // len(inner), 1)).astype(int)):
            try:
                info = part.get_data_info(int(index))
                labels = load(dict(info))['gt_seg_map']
            except Exception:  # a file that cannot be read is named when its turn comes
                continue
            yield info, labels, image_size(info.get('img_path'), turned)


def read_samples(dataset: Any, count: int) -> Iterator[BaseDataElement]:
    """At most ``count`` data samples, spread over a data set, as its own pipeline makes them.

    The random state stays as it is.

    Raises:
        DataError: of a file that a sample is read from.
    """
    for index in np.unique(np.linspace(0, max(len(dataset) - 1, 0), min(count, len(dataset))).astype(int)):
        with kept_random_state():
            try:
                sample = dataset[int(index)]
            except DataError:
                raise
            except Exception:  # what else cannot be read is told when its turn comes
                continue
        found = sample.get('data_samples') if isinstance(sample, dict) else None
        if isinstance(found, BaseDataElement):
            yield found
