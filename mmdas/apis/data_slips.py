"""Settings of pipelines, data preprocessor and evaluators that do not go together."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmdas.registry import type_name

from .config_files import iterate_dicts
from .das_settings import preprocessor_of, preprocessor_place
from .schedule_slips import finite_number
from .toolbox_faults import KnownFault

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')
IGNORED = 255  # by default, of heads and metrics of MMSegmentation


def padded_crops(cfg: Config) -> Iterator[KnownFault]:
    """Crops of a segmentation that the data preprocessor pads."""
    wanted = _sides(preprocessor_of(cfg).get('size'))
    for place, node in iterate_dicts({'train_dataloader': cfg.get('train_dataloader') or {}}):
        sides = _sides(node.get('crop_size'))
        if type_name(node) != 'RandomCrop' or wanted is None or sides is None:
            continue
        if any(side < want for side, want in zip(sides, wanted, strict=True)):
            share = 1 - min(sides[0], wanted[0]) * min(sides[1], wanted[1]) / (wanted[0] * wanted[1])
            yield KnownFault(
                place,
                f'crops of {sides[0]} x {sides[1]} are padded to {wanted[0]} x {wanted[1]}, the size of the data '
                f'preprocessor: {share:.0%} of what the network sees is padding',
                'set crop_size of RandomCrop and size of model.data_preprocessor to the same numbers',
            )


def _sides(size: Any) -> tuple[float, float] | None:
    """Height and width; None for what is neither a number nor two of them."""
    pair = [finite_number(side) for side in (size if isinstance(size, (list, tuple)) else (size, size))]
    height, width = pair if len(pair) == 2 else (None, None)
    return (height, width) if height and width and min(height, width) > 0 else None


def normalised_twice(cfg: Config) -> Iterator[KnownFault]:
    """Pipelines that normalise what the data preprocessor normalises again."""
    mean = preprocessor_of(cfg).get('mean')
    if not mean or not any(mean):
        return
    for place, node in iterate_dicts({loader: cfg.get(loader) or {} for loader in LOADERS}):
        if type_name(node).rpartition('/')[2] == 'Normalize':
            yield KnownFault(
                place,
                f'Normalize takes a mean away, and mean of {preprocessor_place(cfg)} takes it away again',
                'leave Normalize out of all pipelines; the data preprocessor has its to_rgb, too',
            )


def unlike_ignored(cfg: Config) -> Iterator[KnownFault]:
    """Metrics of a segmentation that count pixels of a class that the training ignores."""
    head = (cfg.get('model') or {}).get('decode_head') or {}
    head = head[-1] if isinstance(head, (list, tuple)) else head
    ignored, classes = head.get('ignore_index', IGNORED), finite_number(head.get('num_classes'))
    if classes is None or finite_number(ignored) is None or not 0 <= ignored < classes:
        return
    for place, node in iterate_dicts({evaluator: cfg.get(evaluator) or {} for evaluator in EVALUATORS}):
        if type_name(node) == 'IoUMetric' and node.get('ignore_index', IGNORED) != ignored:
            yield KnownFault(
                place,
                f'IoUMetric counts class {ignored}, which the training ignores (ignore_index of the decode_head)',
                f'set ignore_index={ignored} there, too',
            )
