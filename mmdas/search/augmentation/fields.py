"""What the fields of a policy file may be, and how its parts are read and written."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from mmdas.search.policy_file import PolicyError, shown

from .operations import AUGMENT_OPERATIONS
from .parts import Choice, Stage, SubPolicy, TrajectoryPoint

MAX_SLOTS = 16  # more than any policy draws


def check_sub_policy(sub: SubPolicy, where: str) -> None:
    """Raise a PolicyError for a sub-policy that cannot be drawn from or applied."""
    slots = 0
    for number, stage in enumerate(sub.stages):
        place = f'{where}.stages[{number}]'
        if type(stage.repeat) is not int or not 1 <= stage.repeat <= MAX_SLOTS:
            raise PolicyError(f'{place}.repeat is {shown(stage.repeat)}, expected an integer in 1..{MAX_SLOTS}')
        slots += stage.repeat
        check_weights([choice.weight for choice in stage.choices], f'{place}.choices', 'weight')
        for position, choice in enumerate(stage.choices):
            _check_choice(choice, f'{place}.choices[{position}]')
    if not 1 <= slots <= MAX_SLOTS:
        raise PolicyError(f'{where}.stages draw {slots} operations, expected 1 to {MAX_SLOTS}')


def _check_choice(choice: Choice, where: str) -> None:
    if not isinstance(choice.operation, str) or choice.operation not in AUGMENT_OPERATIONS:
        raise PolicyError(
            f'{where}.operation is {shown(choice.operation)}, expected one of {sorted(AUGMENT_OPERATIONS)}'
        )
    if type(choice.signed) is not bool:
        raise PolicyError(f'{where}.signed is {shown(choice.signed)}, expected true or false')
    check_share(choice.probability, f'{where}.probability')
    operation = AUGMENT_OPERATIONS[choice.operation]
    if len(choice.bounds) != 2 or not all(map(_is_number, choice.bounds)):
        raise PolicyError(f'{where}.magnitude is {shown(choice.magnitude)}, expected a number or two of them')
    if not operation.has_magnitude and (any(choice.bounds) or choice.signed):
        raise PolicyError(
            f'{where}.magnitude is {shown(choice.magnitude)}{", signed" if choice.signed else ""}, but '
            f'{choice.operation} takes none; leave it out'
        )
    for value in choice.bounds:
        signs = (value, -value) if choice.signed else (value,)
        if operation.has_magnitude and not all(operation.low <= signed <= operation.high for signed in signs):
            raise PolicyError(
                f'{where}.magnitude is {shown(choice.magnitude)}{" with either sign" if choice.signed else ""}, but '
                f'{choice.operation} takes {operation.low} to {operation.high} ({operation.unit})'
            )
    if choice.bounds[0] > choice.bounds[1]:
        raise PolicyError(f'{where}.magnitude is {shown(choice.magnitude)}, expected the smaller number first')


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # an integer beyond floating point
        return False


def check_share(value: Any, where: str) -> None:
    """Raise a PolicyError unless a value is a number in [0, 1]."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise PolicyError(f'{where} is {shown(value)}, expected a number in [0, 1]')


def check_weights(weights: Sequence[Any], where: str, name: str) -> None:
    """Raise a PolicyError for weights of draws that are negative, too large or all zero."""
    for value in weights:
        if not _is_number(value) or not 0 <= value <= 1e9:
            raise PolicyError(f'{where} has the {name} {shown(value)}, expected a number of at least 0, at most 1e9')
    if not any(value > 1e-9 for value in weights):
        raise PolicyError(f'{where} has no positive {name}: nothing could be drawn')


def choice_data(choice: Choice) -> dict[str, Any]:
    """What a file says of a choice: its operation, and what is not the default."""
    data: dict[str, Any] = {'operation': choice.operation}
    if AUGMENT_OPERATIONS[choice.operation].has_magnitude:
        low, high = choice.bounds
        data['magnitude'] = low if low == high else [low, high]
    if choice.probability != 1:
        data['probability'] = choice.probability
    data['weight'] = choice.weight
    if choice.signed:
        data['signed'] = True
    return data


def read_sub_policy(data: Any, where: str) -> SubPolicy:
    """A sub-policy from plain data; what its fields hold is checked later."""
    data = plain_object(data, where, {'weight', 'stages'})
    stages = []
    for number, entry in enumerate(array(data.pop('stages', None), f'{where}.stages')):
        place = f'{where}.stages[{number}]'
        entry = plain_object(entry, place, {'repeat', 'choices'})
        choices = []
        for position, choice in enumerate(array(entry.pop('choices', None), f'{place}.choices')):
            choices.append(_read_choice(choice, f'{place}.choices[{position}]'))
        stages.append(Stage(tuple(choices), **entry))
    return SubPolicy(tuple(stages), **data)


def _read_choice(data: Any, where: str) -> Choice:
    data = plain_object(data, where, {'operation', 'magnitude', 'probability', 'weight', 'signed'})
    name, magnitude = data.get('operation'), data.get('magnitude')
    operation = AUGMENT_OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is not None and operation.has_magnitude and 'magnitude' not in data:
        raise PolicyError(
            f'{where} has no magnitude, without which {name} does nothing; it takes {operation.low} to '
            f'{operation.high} ({operation.unit})'
        )
    if isinstance(magnitude, list):
        if len(magnitude) != 2:
            raise PolicyError(f'{where}.magnitude is {shown(magnitude)}, expected a number or two of them')
        data['magnitude'] = tuple(magnitude)
    return Choice(**{'operation': None, **data})


def read_point(data: Any, where: str) -> TrajectoryPoint:
    """A point of a trajectory from plain data; what its fields hold is checked later."""
    data = plain_object(data, where, {'probability', 'weights'})
    return TrajectoryPoint(data.get('probability'), tuple(array(data.get('weights'), f'{where}.weights')))


def plain_object(data: Any, where: str, known: set[str]) -> dict[str, Any]:
    """A copy of a JSON object. Raises a PolicyError for other data, and for a field that is not known."""
    if not isinstance(data, Mapping):
        raise PolicyError(f'{where} is a {type(data).__name__}, expected a JSON object')
    unknown = sorted(str(key) for key in data.keys() - known)
    if unknown:
        raise PolicyError(f'{where} has the unknown fields {shown(unknown)}; known are {sorted(known)}')
    return dict(data)


def array(data: Any, where: str) -> list:
    """A copy of a JSON array. Raises a PolicyError for other data."""
    if not isinstance(data, (list, tuple)):
        raise PolicyError(f'{where} is {shown(data)[:60]}, expected a list')
    return list(data)
