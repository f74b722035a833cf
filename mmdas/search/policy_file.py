"""Files of policies, whose field ``kind`` names the method that made them."""

import json
import os
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from .base import SearchedPolicy

DEFAULT_KIND = 'das'  # of files without the field
MAX_BYTES = 32 * 2**20  # of a file; a policy of a cell with four nodes has about 2000
MAX_DEPTH = 50  # lists and objects within each other
# Characters of an error's message, of which the end holds the remedy.
LONGEST, END = 900, 300

PolicyClass = TypeVar('PolicyClass', bound=type)
_kinds: dict[str, Any] = {}  # the classes


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the file and the field, and is cut in the middle if long.

    An error in a worker of a data loader reaches the main process as a new one, whose text is the whole traceback.
    The message is its end.
    """

    def __init__(self, message: str) -> None:
        message = message.rpartition(f'{type(self).__name__}: ')[2].strip()
        super().__init__(message if len(message) <= LONGEST else f'{message[: LONGEST - END]} ... {message[-END:]}')


def shown(value: Any) -> str:
    """A value as a message shows it, whatever it is."""
    try:
        return repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists within lists
        return f'a {type(value).__name__} that is too large to print'


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
    _register_rooms()
    data = read_json(path)
    kind = kind_of(data)
    if not isinstance(kind, str) or kind not in _kinds:
        raise PolicyError(
            f'{path}: kind is {shown(kind)}, known are {sorted(_kinds)}; import the module that registers it, or '
            'correct the file'
        )
    return _kinds[kind].from_dict(data, str(path))


def _register_rooms() -> None:
    """Import the methods of mmdas, which register their kinds."""
    import mmdas.search.augmentation
    import mmdas.search.das
    import mmdas.search.test_time  # noqa: F401


def kind_of(data: Any) -> Any:
    """The field ``kind`` of the content of a policy file, ``'das'`` where it is not there."""
    return data.get('kind', DEFAULT_KIND) if isinstance(data, Mapping) else DEFAULT_KIND


def reader_of(kind: Any) -> str:
    """The part of a message that says which class reads the files of a kind."""
    _register_rooms()
    known = isinstance(kind, str) and kind in _kinds
    return f'{_kinds[kind].__name__} reads' if known else f'no class is registered for; known are {sorted(_kinds)}'


def read_json(path: str | Path) -> Any:
    """Content of a policy file.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it cannot be read, is too large or too deep, is no JSON, or has a key twice in an object.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no policy at {path}; run its search first or name another file')
    try:
        with path.open('rb') as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(f'{path}: cannot be read: {error}') from error
    if len(content) > MAX_BYTES:
        raise PolicyError(f'{path}: has more than {MAX_BYTES >> 20} MiB, no policy is that large; name another file')
    try:
        data = json.loads(content.decode(), object_pairs_hook=_unique)
    except RecursionError as error:
        raise PolicyError(f'{path}: not a policy: {_DEEP}') from error
    except ValueError as error:
        raise PolicyError(f'{path}: not a JSON file: {error}') from error
    check_depth(data, str(path))
    return data


_DEEP = f'lists and objects lie within each other more than {MAX_DEPTH} times'


def write_policy(path: str | Path, policy: Any) -> None:
    """Write a policy whole: a run that is killed leaves the file of before.

    Args:
        path: of the file.
        policy: with a method ``to_dict``.

    Raises:
        PolicyError: if ``origin``, the one free field, holds what JSON cannot, such as NaN or an object.
    """
    try:
        text = json.dumps(policy.to_dict(), indent=2, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        what = 'origin cannot be written as JSON, since origin is no plain data'
        raise PolicyError(f'{path}: {what}: {error}') from error
    part = Path(f'{path}.{os.getpid()}.part')
    part.write_text(text + '\n', encoding='utf-8')
    part.replace(path)


def check_depth(value: Any, where: str) -> None:
    """Check how deep plain data is.

    Raises:
        PolicyError: if it is too deep to be written or compared.
    """
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 2):
        nodes = [node.values() if isinstance(node, Mapping) else node for node in level]
        level = [child for node in nodes for child in node if isinstance(child, (Mapping, list, tuple))]
        if not level:
            return
    raise PolicyError(f'{where}: {_DEEP}')


def check_fields(data: Any, known: set[str], required: set[str], where: str) -> None:
    """Check the names of the fields of a JSON object.

    Args:
        data: what should be the object.
        known: all names that it may have.
        required: those that it must have.
        where: file and field, for the message.

    Raises:
        PolicyError: if it is no object, or a name is missing or not known.
    """
    if not isinstance(data, Mapping):
        raise PolicyError(f'{where}: expected a JSON object, got {type(data).__name__}')
    missing, unknown = required - set(data), set(data) - known
    if missing or unknown:
        raise PolicyError(f'{where}: missing fields {sorted(missing)}, unknown fields {sorted(unknown, key=str)}')


def check_origin(origin: Any, where: str) -> None:
    """Check that the free field of a policy can be written again.

    Raises:
        PolicyError: if it is too deep, or holds a number that is not finite.
    """
    check_depth([origin], where)
    nodes = [origin]
    while nodes:
        node = nodes.pop()
        if isinstance(node, float) and not isfinite(node):
            raise PolicyError(f'{where} holds {node}, expected finite numbers')
        if isinstance(node, (Mapping, list, tuple)):
            nodes.extend(node.values() if isinstance(node, Mapping) else node)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f'the key {double!r} stands twice in an object')
    return found
