"""Settings that travel with the weights: what decides a prediction and is no parameter."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

KEY = '_extra_state'  # what torch appends to a module's prefix for its extra state
SHOWN = 3  # differences that a message names
LONGEST = 100  # characters of a value in a message
BLOCK = 4096  # bytes; a record fills whole ones, so that most whose settings become known later keep their size


Parent: Any = object  # what a mixin stands before: a class that is known at run time, whose members are not typed


class DifferenceError(ValueError):
    """A checkpoint that was trained with other settings than the config has; the message names both."""


class Recorded(Parent):
    """Mixin of a module that writes its settings into its checkpoint and compares them on loading.

    The record is torch's extra state: JSON as a tensor of bytes, which every tool of the toolboxes saves and loads,
    weights-only loading included. One frame is the plain model and writes no record, unless T is open: then the keys
    must not depend on it. A checkpoint without a record, as that of a plain model, loads as it does without this mixin.

    A class says its settings with :meth:`settings`, and takes up what its config leaves open with :meth:`adopt`.
    Settings that only one side knows are not compared, so that fields may be added.

    Attributes:
        num_frames: T of the module.
        is_open: whether T is not given and may still change.
        place: of the settings in a config, for messages.
        accept_difference: whether a record that differs from the module's settings is only told, not refused.

    Raises:
        DifferenceError: on loading a record that differs from the module's settings, naming both.
    """

    num_frames: int | None
    is_open = False
    place = 'settings'
    accept_difference = False

    def settings(self) -> dict[str, Any]:
        """What decides the predictions, as values that JSON can hold."""
        raise NotImplementedError

    def adopt(self, settings: dict[str, Any]) -> None:
        """Take up from a checkpoint's record what the config leaves open; by default nothing is open."""

    def canonical(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings in the form in which they are compared."""
        return settings

    def get_extra_state(self) -> Tensor:
        """The record, (bytes,), uint8."""
        return encode(self.settings())

    def set_extra_state(self, state: Tensor) -> None:
        """Take up a record and compare it.

        Raises:
            DifferenceError: if it differs from the settings and ``accept_difference`` is not set.
        """
        record = decode(state, self.place)
        self.adopt(record)
        own, other = self.canonical(decode(self.get_extra_state(), self.place)), self.canonical(record)
        found = list(differences(own, other))
        if not found:
            return
        text = describe(found, self.place)
        if not self.accept_difference:
            raise DifferenceError(
                f'{text}. Set it as in the training ({self.remedy()}), or go on with the difference by '
                f'--accept-difference (accept_difference=True of {self.place} in the config)'
            )
        print_log(f'difference accepted: {text}', logger='current', level=logging.WARNING)

    def remedy(self) -> str:
        """Where the settings of the training are found."""
        return 'the work directory of its run keeps the config'

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.num_frames == 1 and not self.is_open:
            destination.pop(prefix + KEY)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list, *others: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, *others)
        if prefix + KEY in missing_keys:  # a plain model's checkpoint, or an older one: nothing to compare
            missing_keys.remove(prefix + KEY)


def encode(settings: Mapping[str, Any]) -> Tensor:
    """Settings as JSON in a tensor of bytes, (bytes,), padded with spaces: averaged models copy it like a parameter."""
    record = json.dumps(settings, default=str).encode()
    return torch.tensor(list(record.ljust(-(-len(record) // BLOCK) * BLOCK)), dtype=torch.uint8, device='cpu')


def decode(state: Tensor, place: str = 'settings') -> dict[str, Any]:
    """Inverse of :func:`encode`, whatever device or number type a tool has moved the tensor to.

    Raises:
        ValueError: for a tensor that holds no settings.
    """
    try:
        settings = json.loads(bytes(state.detach().to('cpu', torch.uint8).tolist()).decode())
    except ValueError as error:
        raise ValueError(f'{place}: the record in the checkpoint is not readable: {error}') from error
    if not isinstance(settings, dict):
        raise ValueError(f'{place}: the record in the checkpoint is a {type(settings).__name__}, expected an object')
    return settings


def holds_record(state_dict: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is of a model with frames that has written its settings."""
    return any(key.endswith(f'data_preprocessor.{KEY}') for key in state_dict)


def differences(own: Any, other: Any, path: str = '') -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, own value, other value) for what two settings both say, and differently."""
    if isinstance(own, dict) and isinstance(other, dict):
        for key in own:
            if key in other:
                yield from differences(own[key], other[key], f'{path}.{key}')
    elif isinstance(own, list) and isinstance(other, list) and len(own) == len(other) and not are_names(own):
        for index, pair in enumerate(zip(own, other, strict=True)):
            yield from differences(*pair, f'{path}.{index}')
    elif own != other:
        if are_names(own) and are_names(other):  # long lists of places: what only one of them has
            own, other = [name for name in own if name not in other], [name for name in other if name not in own]
        yield path, own, other


def are_names(value: Any) -> bool:
    """Whether a value is a list of words."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def describe(found: list[tuple[str, Any, Any]], place: str) -> str:
    """The first differences in words, with both values."""
    parts = [f'{place}{path} is {short(own)} and was {short(other)}' for path, own, other in found[:SHOWN]]
    more = f'; {len(found) - SHOWN} more values differ' if len(found) > SHOWN else ''
    return f'{place} differs from what the checkpoint was trained with: {"; ".join(parts)}{more}'


def short(value: Any) -> str:
    """A value in at most ``LONGEST`` characters."""
    text = repr(value)
    return text if len(text) <= LONGEST else f'{text[: LONGEST - 3]}...'
