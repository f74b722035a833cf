"""What the parts of a config may be, so that a wrong one is told by its place and not by what stumbles over it."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from .das_options import ConversionError

NOTHING = type(None)
# Place -> types that MMEngine's runner takes there. None stands for what is left out.
TYPES: dict[str, tuple[type, ...]] = {
    'model': (dict, NOTHING),
    'model.backbone': (dict, NOTHING),
    'model.data_preprocessor': (dict, NOTHING),
    'model.decode_head': (dict, list, tuple, NOTHING),
    'model.auxiliary_head': (dict, list, tuple, NOTHING),
    'model.head': (dict, NOTHING),
    'default_scope': (str, NOTHING),
    'data_preprocessor': (dict, NOTHING),
    'train_dataloader': (dict, NOTHING),
    'val_dataloader': (dict, NOTHING),
    'test_dataloader': (dict, list, tuple, NOTHING),
    'train_cfg': (dict, NOTHING),
    'optim_wrapper': (dict, NOTHING),
    'optim_wrapper.optimizer': (dict, NOTHING),
    'param_scheduler': (dict, list, tuple, NOTHING),
    'default_hooks': (dict, NOTHING),
    'custom_hooks': (list, tuple, NOTHING),
    'env_cfg': (dict, NOTHING),
    'randomness': (dict,),
    'work_dir': (str, NOTHING),
    'experiment_name': (str, NOTHING),
    'load_from': (str, NOTHING),
    'resume': (int, NOTHING),  # True is one
}
# Numbers that count something, where they are there at all.
COUNTS = ('train_cfg.max_iters', 'train_cfg.max_epochs', 'optim_wrapper.accumulative_counts')
HEADS = ('decode_head', 'auxiliary_head', 'head')
NAMES = {dict: 'a dict', list: 'a list', tuple: 'a tuple', str: 'a text', int: 'True or False', NOTHING: 'None'}
LONGEST = 80  # characters of a value in a message


def check_types(cfg: Config) -> None:
    """Check the types of the parts of a plain config that a conversion reads.

    Args:
        cfg: with the types of components as text.

    Raises:
        ConversionError: naming the place, what is there, and what may be.
    """
    for place, kinds in TYPES.items():
        for value in _values(cfg, place):
            if not isinstance(value, kinds):
                expected = ' or '.join(NAMES[kind] for kind in kinds if kind is not tuple)
                raise ConversionError(f'{place} is {brief(value)}, expected {expected}')
            for index, item in enumerate(value if isinstance(value, (list, tuple)) else []):
                if item is None or isinstance(item, (str, int, float, list, tuple)):  # not: an object that was built
                    raise ConversionError(f'{place}[{index}] is {brief(item)}, expected a dict')
    for place in COUNTS:
        for value in _values(cfg, place):
            _check_count(value, place)
    for place, head in _heads(cfg):
        if 'num_classes' in head:
            _check_count(head['num_classes'], f'{place}.num_classes')


def _check_count(value: Any, place: str) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise ConversionError(f'{place} is {brief(value)}, expected an integer of at least 1')


def _values(cfg: Config, place: str) -> Iterator[Any]:
    """The value at a dotted place, if there is one."""
    node: Any = cfg
    for key in place.split('.'):
        if not hasattr(node, 'keys') or key not in node:
            return
        node = node[key]
    yield node


def _heads(cfg: Config) -> Iterator[tuple[str, dict]]:
    model = cfg.get('model') or {}
    for place in HEADS:
        part = model.get(place) or []
        if isinstance(part, dict):
            yield f'model.{place}', part
        else:
            yield from ((f'model.{place}[{index}]', head) for index, head in enumerate(part))


def brief(value: Any) -> str:
    """A value as a message shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'
