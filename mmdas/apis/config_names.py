"""Find configs by their names."""

import difflib
import glob
from pathlib import Path

from mmengine.utils import get_installed_path

PACKAGES = ('mmseg', 'mmpretrain', 'mmdas')  # whose installed configs are found by their names


def find_config(config: str | Path) -> tuple[Path, str | None]:
    """Path of a config and, where it is an installed one, what stands for it in ``_base_``.

    Args:
        config: a file, or the name of an installed config: ``'mmseg::pspnet/NAME.py'``, or ``'NAME'`` alone.

    Raises:
        FileNotFoundError: if there is no such file and no installed config of the name, or several; the message names
            the nearest.
    """
    if Path(config).is_file():
        return Path(config), None
    package, _, name = str(config).rpartition('::')
    name = name.removesuffix('.py')
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
        f'give a path, or PACKAGE::FOLDER/NAME.py with a package of {PACKAGES}'
    )


def installed_configs(pattern: str) -> list[tuple[str, str, Path]]:
    """Package, place without ending, and path of all installed configs whose file name fits a pattern."""
    folders = {scope: Path(get_installed_path(scope), '.mim', 'configs') for scope in PACKAGES}
    return [
        (scope, path.relative_to(folder).with_suffix('').as_posix(), path)
        for scope, folder in folders.items()
        for path in sorted(folder.rglob(pattern))
    ]


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
