"""The registries of mmdas: children of MMEngine's root registries with the scope ``mmdas``.

A config of any OpenMMLab toolbox names a component as ``type='mmdas.X'``; the package is imported on first use. A type
without a prefix inside such a component belongs to the config's ``default_scope``. A component that extends one
toolbox is imported when it is asked for by its name, so that the other toolboxes need not be there.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS, Registry
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import INFERENCERS as MMENGINE_INFERENCERS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS

from mmdas.noise import quiet_imports

# Module of a toolbox -> what to install for it.
TOOLBOXES = {'mmseg': 'onedl-mmsegmentation or mmsegmentation', 'mmpretrain': 'onedl-mmpretrain or mmpretrain'}


class LazyRegistry(Registry):
    """Registry that imports a component when it is asked for, see :func:`import_part`."""

    def get(self, key: str) -> type | None:
        """The component of a name.

        Raises:
            ImportError: if its toolbox is not installed.
        """
        if not isinstance(key, str):
            return super().get(key)  # which says what a key is
        for location in self._locations:
            getattr(import_module(location), key.rpartition('.')[2], None)
        return super().get(key)


def add_missing_registry(scope: str) -> None:
    """Give a toolbox the registry of functions, which MMEngine's inferencers look for in its scope.

    The toolboxes have none, so that MMEngine warned and took its own: the same functions, for a registry without a name
    asks its parent.

    Args:
        scope: of the toolbox.
    """
    with suppress(ImportError):
        import_module(f'{scope}.registry')  # which may have one of later releases
    if scope not in FUNCTIONS.children:
        Registry('function', parent=FUNCTIONS, scope=scope)


def import_part(package: str, parts: Mapping[str, str], name: str) -> Any:
    """What a package defines in a module that is imported on demand, for its ``__getattr__``.

    Args:
        package: for messages.
        parts: name -> module that defines it.
        name: of what is asked for.

    Raises:
        AttributeError: for a name that is not in ``parts``.
        ImportError: if the toolbox that the module extends is not installed.
    """
    if name not in parts:
        raise AttributeError(f'module {package!r} has no attribute {name!r}')
    try:
        with quiet_imports():
            return getattr(import_module(parts[name]), name)
    except ModuleNotFoundError as error:
        toolbox = (error.name or '').partition('.')[0]
        if toolbox not in TOOLBOXES:
            raise
        raise ImportError(
            f'mmdas.{name} needs {toolbox}, which is not installed: pip install {TOOLBOXES[toolbox]}'
        ) from error


def loaded(module: str, name: str) -> Any:
    """A class of a toolbox for ``isinstance``; empty where the module is not imported and nothing can be one."""
    return (getattr(sys.modules[module], name),) if module in sys.modules else ()


# A child of the transforms' registry: pipelines find what is here, too.
AUGMENTS = LazyRegistry('augment', scope='mmdas', parent=MMENGINE_TRANSFORMS, locations=['mmdas.augment'])
MODELS = LazyRegistry('model', scope='mmdas', parent=MMENGINE_MODELS, locations=['mmdas.models'])
DATASETS = LazyRegistry('dataset', scope='mmdas', parent=MMENGINE_DATASETS, locations=['mmdas.datasets'])
DATA_SAMPLERS = Registry('data sampler', scope='mmdas', parent=MMENGINE_DATA_SAMPLERS, locations=['mmdas.engine'])
HOOKS = Registry('hook', scope='mmdas', parent=MMENGINE_HOOKS, locations=['mmdas.engine'])
INFERENCERS = LazyRegistry(
    'inferencer', scope='mmdas', parent=MMENGINE_INFERENCERS, locations=['mmdas.apis.inferencers']
)
LOOPS = Registry('loop', scope='mmdas', parent=MMENGINE_LOOPS, locations=['mmdas.engine'])
METRICS = Registry('metric', scope='mmdas', parent=MMENGINE_METRICS, locations=['mmdas.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    scope='mmdas',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    locations=['mmdas.engine'],
)
TASK_UTILS = Registry('task util', scope='mmdas', parent=MMENGINE_TASK_UTILS, locations=['mmdas.engine'])


def type_name(node: Any) -> str:
    """Name of the type in a piece of a config, without the scope or module before it.

    Args:
        node: a piece of a config. Its type is a text, such as ``'BN'``, ``'mmseg.FCNHead'`` or
            ``'torch.nn.SyncBatchNorm'``, or a class, as in pure-Python configs.

    Returns:
        The name; empty for a piece that names no type.
    """
    kind = node.get('type') if isinstance(node, Mapping) else None
    if kind is None:
        return ''
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', str(kind))


def build_at(
    registry: Registry,
    config: Mapping,
    place: str,
    kind: type[ValueError],
    kept: tuple[type[Exception], ...] = (),
) -> Any:
    """An object of its config, whose errors name the place of the config.

    Args:
        registry: that knows its type.
        config: of the object.
        place: of the config, for messages.
        kind: of the error for a type that is not there, and for options that it does not take.
        kept: errors that stay as they are.

    Raises:
        kind: with the place and the reason.
    """
    try:
        return registry.build(dict(config))
    except kept:
        raise
    except KeyError as error:
        raise kind(f'{place}: {unknown_type(registry, config, str(error.args[0]))}') from error
    except (TypeError, ValueError) as error:
        raise kind(f'{place}: {error}') from error


def unknown_type(registry: Registry, config: Mapping, text: str) -> str:
    """The part of a message on an error of a registry that says which type is not there, and which is like it.

    Args:
        registry: that was asked.
        config: of the object.
        text: of the error, whose further sentences are about how types are registered.
    """
    name = str(config.get('type'))
    if not text.startswith(f'{name} is not in'):  # of another type within, or none is given
        return text.partition('. ')[0]
    close = get_close_matches(name, [f'{registry.scope}.{known}' for known in registry.module_dict], n=1)
    return f'there is no type {name}' + (f'; did you mean {close[0]}?' if close else '')


__all__ = [
    'AUGMENTS',
    'DATASETS',
    'DATA_SAMPLERS',
    'HOOKS',
    'INFERENCERS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'TASK_UTILS',
    'build_at',
    'type_name',
]
