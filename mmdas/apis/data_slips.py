"""Settings of pipelines, data preprocessor, heads and evaluators that do not go together."""

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
OWN_LABELS = ('STDCHead',)  # heads that make labels of their own of those of the data
IGNORED = 255  # by default, of heads and metrics of MMSegmentation


def padded_crops(cfg: Config) -> Iterator[KnownFault]:
    """Crops of a segmentation that the data preprocessor pads."""
    wanted = _sides(preprocessor_of(cfg).get('size'))
    for where, pipeline in _pipelines((cfg.get('train_dataloader') or {}).get('dataset'), 'train_dataloader.dataset'):
        number = max((n for n, step in enumerate(pipeline) if type_name(step) == 'RandomCrop'), default=None)
        if number is None or any('Resize' in type_name(step) for step in pipeline[number:]):
            continue
        sides = _sides(pipeline[number].get('crop_size'))
        if wanted and sides and any(side < want for side, want in zip(sides, wanted, strict=True)):
            share = 1 - min(sides[0], wanted[0]) * min(sides[1], wanted[1]) / (wanted[0] * wanted[1])
            yield KnownFault(
                f'{where}.pipeline.{number}',
                f'crops of {sides[0]} x {sides[1]} are padded to {wanted[0]} x {wanted[1]}, the size of the data '
                f'preprocessor: {share:.0%} of what the network sees is padding',
                'set crop_size of RandomCrop and size of model.data_preprocessor to the same numbers',
            )


def _pipelines(dataset: Any, place: str) -> Iterator[tuple[str, list]]:
    """Pipelines whose results a data set gives; those of its parts where it has none itself."""
    if not isinstance(dataset, dict):
        return
    if dataset.get('pipeline'):
        yield place, dataset['pipeline']
        return
    yield from _pipelines(dataset.get('dataset'), f'{place}.dataset')
    for number, part in enumerate(dataset.get('datasets') or ()):
        yield from _pipelines(part, f'{place}.datasets.{number}')


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
        if type_name(node).rpartition('/')[2] == 'Normalize' and any(node.get('mean', mean)):
            yield KnownFault(
                place,
                f'Normalize takes a mean away, and mean of {preprocessor_place(cfg)} takes it away again',
                'leave Normalize out of all pipelines; what its to_rgb does, the data preprocessor does, too',
            )


def unlike_ignored(cfg: Config) -> Iterator[KnownFault]:
    """Metrics of a segmentation that count pixels of a class that the training ignores."""
    _, head = _main_head(cfg)
    ignored, classes = head.get('ignore_index', IGNORED), finite_number(head.get('num_classes'))
    if classes is None or finite_number(ignored) is None or not 0 <= ignored < classes:
        return
    for place, node in _metrics(cfg):
        if type_name(node) == 'IoUMetric' and node.get('ignore_index', IGNORED) != ignored:
            yield KnownFault(
                place,
                f'IoUMetric counts class {ignored}, which the training ignores (ignore_index of the decode_head)',
                f'set ignore_index={ignored} there, too; its IoU is then 0 where it is predicted, so read the others',
            )


def unlike_heads(cfg: Config) -> Iterator[KnownFault]:
    """Heads of a segmentation with other numbers of classes."""
    main, head = _main_head(cfg)
    wanted = finite_number(head.get('num_classes'))
    for place, node in _heads(cfg):
        classes = finite_number(node.get('num_classes'))
        if wanted is None or classes is None or type_name(node) in OWN_LABELS:
            continue
        if max(classes, 2) != max(wanted, 2):  # a binary head of one channel has two labels
            yield KnownFault(
                place,
                f'num_classes is {classes:g}, that of {main} {wanted:g}: labels beyond it are an error of the loss, or '
                'learned wrongly, and classes that the data lack are never right',
                'set num_classes of all heads to the number of classes of the data',
            )


def too_few_classes(cfg: Config) -> Iterator[KnownFault]:
    """Accuracies of a classification that need more classes than there are."""
    place, head = _main_head(cfg)
    classes = finite_number(head.get('num_classes'))
    for where, node in _metrics(cfg):
        given = node.get('topk')
        each = given if isinstance(given, (list, tuple)) else [given]
        numbers = [one for one in each if isinstance(one, int)]
        if type_name(node) == 'Accuracy' and classes and numbers and max(numbers) > classes:
            fitting = tuple(one for one in numbers if one <= classes) or (1,)
            yield KnownFault(
                where,
                f'topk={given} needs {max(numbers)} classes, {place} has {classes:g}: the first validation is an error',
                f'set topk={fitting}',
            )


def endless_tests(cfg: Config) -> Iterator[KnownFault]:
    """Samplers of a validation or test that never end; a training by epochs refuses its own."""
    for loader in LOADERS[1:]:
        if type_name((cfg.get(loader) or {}).get('sampler')) == 'InfiniteSampler':
            yield KnownFault(
                f'{loader}.sampler',
                'InfiniteSampler never ends',
                "set sampler=dict(type='DefaultSampler', shuffle=False)",
            )


def _main_head(cfg: Config) -> tuple[str, dict]:
    """The head that predicts, and its place; an empty one where there is none."""
    model = cfg.get('model') or {}
    name = next((name for name in ('decode_head', 'head') if model.get(name)), 'head')
    head = model.get(name) or {}
    return f'model.{name}', _inner(head[-1] if isinstance(head, (list, tuple)) else head)


def _heads(cfg: Config) -> Iterator[tuple[str, dict]]:
    """All heads of a segmentor, with their places."""
    model = cfg.get('model') or {}
    for name in ('decode_head', 'auxiliary_head'):
        found = model.get(name) or []
        several = isinstance(found, (list, tuple))
        for number, head in enumerate(found if several else [found]):
            yield f'model.{name}.{number}' if several else f'model.{name}', _inner(head)


def _inner(head: Any) -> dict:
    """A head itself, where another one pools its frames."""
    inner = head.get('head', head) if isinstance(head, dict) else {}
    return inner if isinstance(inner, dict) else {}


def _metrics(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Metrics of validation and test, with their places."""
    return iterate_dicts({evaluator: cfg.get(evaluator) or {} for evaluator in EVALUATORS})
