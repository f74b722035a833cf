"""Find configs and checkpoints, and read configs as their files have them."""

import difflib
import glob
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import get_installed_path, import_modules_from_strings

from mmdas.engine.checkpoints import read_checkpoint
from mmdas.hosts import Host, find_host, host_scopes

CONFIGS = ('.py', '.json', '.yaml', '.yml')  # endings that MMEngine reads
CHECKPOINTS = ('.pth', '.pt', '.ckpt', '.safetensors')
LONGEST = 500  # characters of a reason in a message


class ConfigError(ValueError):
    """A file that cannot be read as a config; the message names the file and the reason."""


def find_config(config: str | Path) -> tuple[Path, str | None]:
    """Path of a config and, where it is an installed one, what stands for it in ``_base_``.

    Args:
        config: a file, or the name of an installed config: ``'mmseg::pspnet/NAME.py'``, or ``'NAME'`` alone.

    Raises:
        FileNotFoundError: if there is no such file and no installed config of the name, or several; the message names
            the nearest.
    """
    if _is_file(config):
        return Path(config), None
    package, _, name = str(config).rpartition('::')
    name = name.removesuffix('.py')
    if len(name) > LONGEST:
        raise FileNotFoundError(f'there is no file and no installed config {name[:LONGEST]}...')
    found = {
        f'{scope}::{place}.py': path
        for scope, place, path in installed_configs(f'{glob.escape(Path(name).name)}.py')
        if package in ('', scope) and f'/{place}'.endswith(f'/{name}')
    }
    if len(found) == 1:
        reference, path = found.popitem()
        return path, reference
    several = f'more than one installed config of that name: {", ".join(found)}'
    raise FileNotFoundError(
        f'there is no file {config} and {several if found else "no installed config of that name"}; '
        f'{"" if found else did_you_mean(nearest_config(config))}'
        f'give a path, or PACKAGE::FOLDER/NAME.py with a package of {packages()}'
    )


def _is_file(path: str | Path) -> bool:
    """Whether there is a file; not if the path is none, being too long or with a character of the value 0."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def packages() -> tuple[str, ...]:
    """Packages whose installed configs are found by their names."""
    return tuple(name for name in (*host_scopes(), 'mmdas') if find_spec(name) is not None)


def installed_configs(pattern: str) -> list[tuple[str, str, Path]]:
    """Package, place without ending, and path of all installed configs whose file name fits a pattern."""
    folders = {scope: Path(get_installed_path(scope), '.mim', 'configs') for scope in packages()}
    return [
        (scope, path.relative_to(folder).with_suffix('').as_posix(), path)
        for scope, folder in folders.items()
        for path in sorted(folder.rglob(pattern))
    ]


def require_content(cfg: Config, path: str | Path) -> None:
    """Refuse a file that holds neither a model nor data, such as a policy or a table of results.

    Raises:
        ConfigError: naming the file and what it holds.
    """
    if not any(cfg.get(key) for key in ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader')):
        held = ', '.join(list(cfg.keys())[:4]) or 'nothing'
        raise ConfigError(f'{path} is no config of a model or of data, it holds {held}; name the config of a training')


def require_model(cfg: Config, path: str | Path) -> None:
    """Refuse a config without a model, such as a base config of a data set.

    Raises:
        ConfigError: naming it.
    """
    if cfg.get('model') is None:
        raise ConfigError(f'{path} has no model; name a whole config, which inherits from one of a model')


def nearest_config(config: str | Path) -> str | None:
    """The file beside a path that is not there, or the installed config, whose name is most like it."""
    name = Path(str(config).rpartition('::')[2]).name.removesuffix('.py')
    names = {place.rpartition('/')[2]: f'{scope}::{place}.py' for scope, place, _ in installed_configs('*.py')}
    names.update((path.stem, str(path)) for path in Path(config).parent.glob('*.py'))
    close = difflib.get_close_matches(name, names, n=1)
    return names[close[0]] if close else None


def did_you_mean(match: str | None) -> str:
    """The part of a message that names the nearest match, empty without one."""
    return f'did you mean {match}? ' if match else ''


def require_checkpoint(checkpoint: str) -> Any:
    """Fail now, not after the model is built, if there is no whole checkpoint of plain data at a local path.

    Returns:
        Its content; an empty dict for one that lies elsewhere.

    Raises:
        FileNotFoundError: If there is none.
        CheckpointError: If it is damaged, no checkpoint, or could run code.
    """
    if '://' in checkpoint:
        return {}
    if Path(checkpoint).suffix in CONFIGS:
        raise FileNotFoundError(f'{checkpoint} is no checkpoint; CONFIG comes first, then CHECKPOINT, a .pth file')
    if Path(checkpoint).is_dir():
        raise FileNotFoundError(f'{checkpoint} is a folder, no checkpoint; name a file in it that ends with .pth')
    if not Path(checkpoint).is_file():
        beside = {path.name: str(path) for path in sorted(Path(checkpoint).parent.glob('*.pth'))}
        close = difflib.get_close_matches(Path(checkpoint).name, beside, n=1)
        raise FileNotFoundError(
            f'there is no checkpoint {checkpoint}; {did_you_mean(beside[close[0]] if close else None)}'
            'the work dir of a run holds its checkpoints'
        )
    return read_checkpoint(checkpoint)


def read_config(path: str | Path) -> Config:
    """Read a config as its file has it, and import what its ``custom_imports`` names.

    Raises:
        FileNotFoundError: if a file that it inherits from is not there.
        ConfigError: if it cannot be read, or the code in it fails.
        ValueError: if a module of ``custom_imports`` cannot be imported.
    """
    if Path(path).suffix in CHECKPOINTS:
        raise ConfigError(f'{path} is a checkpoint, no config; CONFIG comes first, then CHECKPOINT')
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
        drop_own_scope(cfg)
    except FileNotFoundError:
        raise
    except RecursionError as error:
        raise ConfigError(f'{path} cannot be read: it inherits from itself, or holds itself') from error
    except (Exception, SystemExit) as error:  # a config is code, which may fail in any way
        reason = ' '.join(str(error).split())[:LONGEST]
        raise ConfigError(f'{path} cannot be read: {type(error).__name__}{": " * bool(reason)}{reason}') from error
    import_custom_modules(cfg)
    return cfg


def import_custom_modules(cfg: Config) -> None:
    """Import what ``custom_imports`` of a config names, such as the module that registers a user's operations.

    MMEngine does so for text configs alone, and not for options of a command. Modules are found in the working
    directory, too, as by ``python -m mmdas``.

    Raises:
        ValueError: if it cannot be imported.
    """
    imports = cfg.get('custom_imports')
    if not imports:
        return
    if not {'', os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())  # for good: processes that load data may look there again
    try:
        import_modules_from_strings(**imports)
    except (ImportError, TypeError) as error:  # the second where it is no dict of modules
        cause = f' ({error.__context__})' if error.__context__ else ''
        raise ValueError(
            f'custom_imports of the config: {error}{cause}; run the command in the folder of the module, or name that '
            'folder in PYTHONPATH'
        ) from error


def drop_own_scope(cfg: Config) -> None:
    """Let types without a prefix that come from ``_base_ = ['mmdas::...']`` belong to the config's toolbox.

    MMEngine would look for them in mmdas, as it marks what it inherits from a package; but configs of mmdas name their
    own types with the prefix and leave the others to ``default_scope``.
    """
    for _, node in iterate_dicts(dict(cfg.items())):
        if node.get('_scope_') == 'mmdas':
            del node['_scope_']


def toolbox_of(cfg: Config) -> str | None:
    """``default_scope``, or the package of the model's class where a pure-Python config leaves the scope out."""
    kind = (cfg.get('model') or {}).get('type')
    module = kind if isinstance(kind, str) else getattr(kind, '__module__', '')
    return cfg.get('default_scope') or (module.partition('.')[0] if '.' in module else None)


def host_of(cfg: Config) -> Host:
    """The host of a config's toolbox."""
    return find_host(toolbox_of(cfg))


ABSENT = object()


def value_at(node: Any, place: str) -> Any:
    """What a dotted place, as of :func:`iterate_dicts`, holds; ABSENT where there is none."""
    for key in place.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(key)] if key.isdigit() and int(key) < len(node) else ABSENT
        else:
            node = node.get(key, ABSENT) if isinstance(node, dict) else ABSENT
    return node


def iterate_dicts(node: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """Yield (dotted path, dict) for every dict inside a piece of a config, from the outside in."""
    if isinstance(node, dict):
        yield path, node
        children = list(node.items())
    elif isinstance(node, (list, tuple)):
        children = list(enumerate(node))
    else:
        return
    for key, child in children:
        yield from iterate_dicts(child, f'{path}.{key}' if path else str(key))
