"""Files of policies, whose field ``kind`` names the method that made them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .base import SearchedPolicy

DEFAULT_KIND = 'das'  # of files without the field

PolicyClass = TypeVar('PolicyClass', bound=type)
_kinds: dict[str, Any] = {}  # the classes


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the file and the field."""


def register_policy(kind: str) -> Callable[[PolicyClass], PolicyClass]:
    """Decorate the class that reads the files of a kind, by ``from_dict(data, where)``.

    Args:
        kind: value of the field ``kind`` in its files; ``data`` still holds it, ``where`` names the file for errors.

    Raises:
        ValueError: if another class reads this kind.
    """

    def register(policy: PolicyClass) -> PolicyClass:
        known = _kinds.setdefault(kind, policy)
        if known.__qualname__ != policy.__qualname__:  # the same one comes again where a notebook cell runs again
            raise ValueError(f'policies of the kind {kind!r} are read by {known.__name__}; choose another kind')
        _kinds[kind] = policy
        return policy

    return register


def load_policy(path: str | Path) -> SearchedPolicy:
    """Read a policy of any method.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: naming the file and what is wrong with it, such as a kind that no class is registered for.
    """
    import mmdas.search.das  # noqa: F401  registers its kind

    data = read_json(path)
    kind = data.get('kind', DEFAULT_KIND) if isinstance(data, Mapping) else DEFAULT_KIND
    if not isinstance(kind, str) or kind not in _kinds:
        raise PolicyError(
            f'{path}: kind is {kind!r}, known are {sorted(_kinds)}; import the module that registers it, or correct '
            'the file'
        )
    return _kinds[kind].from_dict(data, str(path))


def reader_of(kind: Any) -> str:
    """The part of a message that says which class reads the files of a kind."""
    known = isinstance(kind, str) and kind in _kinds
    return f'{_kinds[kind].__name__} reads' if known else f'no class is registered for; known are {sorted(_kinds)}'


def read_json(path: str | Path) -> Any:
    """Content of a policy file.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it is no JSON.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no policy at {path}; run its search first or name another file')
    try:
        return json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise PolicyError(f'{path}: not a JSON file: {error}') from error
