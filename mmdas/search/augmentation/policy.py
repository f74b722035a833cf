"""An augmentation policy: which operations a training draws for an image, as a small, versioned, readable file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmdas.search.policy_file import (
    PolicyError,
    check_depth,
    read_json,
    reader_of,
    register_policy,
    shown,
    write_policy,
)

from .apply import Canvas, Fill
from .fields import (
    array,
    check_share,
    check_sub_policy,
    check_weights,
    choice_data,
    plain_object,
    read_point,
    read_sub_policy,
)
from .operations import AUGMENT_OPERATIONS
from .parts import Choice, Stage, SubPolicy, TrajectoryPoint

KIND = 'augmentation'
SCHEMA_VERSION = 1
# More than any policy has; what one costs to read and to draw from is bounded by them.
MAX_CHOICES, MAX_POINTS = 4096, 10_000


@register_policy(KIND)
@dataclass(frozen=True)
class AugmentPolicy:
    """A distribution over sequences of operations.

    An image is augmented with ``probability``. It then gets one sub-policy, and in each of its stages one choice.

    Args:
        sub_policies: at least one.
        probability: that an image is augmented. Default: 1.
        trajectory: what holds in place of ``probability`` and of the weights of the choices in equal parts of the
            training, as DDAS replays its search. Default: none, the same all the time.
        fill: of places that no pixel comes to, see :class:`Canvas`. Default: 0.5, grey.
        interpolation: of images, ``'bilinear'`` (default) or ``'nearest'``.
        origin: where it comes from: method, config, data, seed, date, cost. Free of meaning for the draws.

    Raises:
        PolicyError: if a field is not usable, naming it.
    """

    sub_policies: tuple[SubPolicy, ...]
    probability: float = 1.0
    trajectory: tuple[TrajectoryPoint, ...] = ()
    fill: Fill = 0.5
    interpolation: str = 'bilinear'
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check every field.

        Raises:
            PolicyError: for an unknown operation, a magnitude outside its range, a probability outside [0, 1], weights
                of which none is positive, or a trajectory that does not have a weight for each choice.
        """
        if not self.sub_policies:
            raise PolicyError('sub_policies is empty, expected at least one')
        if not isinstance(self.origin, Mapping):
            raise PolicyError(f'origin is a {type(self.origin).__name__}, expected a JSON object')
        check_share(self.probability, 'probability')
        try:
            self.canvas  # noqa: B018  which checks both of its fields
        except (TypeError, ValueError) as error:
            raise PolicyError(str(error)) from None
        check_weights([sub.weight for sub in self.sub_policies], 'sub_policies', 'weight')
        for position, sub in enumerate(self.sub_policies):
            check_sub_policy(sub, f'sub_policies[{position}]')
        count = sum(1 for _ in self.choices())
        if count > MAX_CHOICES:
            raise PolicyError(f'the policy has {count} choices, expected at most {MAX_CHOICES}')
        if len(self.trajectory) > MAX_POINTS:
            raise PolicyError(f'trajectory has {len(self.trajectory)} points, expected at most {MAX_POINTS}')
        for position, point in enumerate(self.trajectory):
            where = f'trajectory[{position}]'
            check_share(point.probability, f'{where}.probability')
            if len(point.weights) != count:
                raise PolicyError(f'{where}.weights has {len(point.weights)} numbers, the policy has {count} choices')
            self._check_point(point, where)

    def _check_point(self, point: TrajectoryPoint, where: str) -> None:
        start = 0
        for stage in self._stages():
            weights = point.weights[start : start + len(stage.choices)]
            check_weights(list(weights), where, 'weights')
            start += len(stage.choices)

    @property
    def canvas(self) -> Canvas:
        """How its warps sample; a data set with another ignored label takes a copy."""
        return Canvas(self.fill, self.interpolation)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations that occur, each once."""
        return tuple(dict.fromkeys(choice.operation for choice in self.choices()))

    @property
    def reads_grey(self) -> bool:
        """Whether images must be RGB or grey."""
        return any(AUGMENT_OPERATIONS[name].reads_grey for name in self.operations)

    def choices(self) -> Iterator[Choice]:
        """All choices in order, those of a repeated stage once."""
        for stage in self._stages():
            yield from stage.choices

    def _stages(self) -> Iterator[Stage]:
        for sub in self.sub_policies:
            yield from sub.stages

    def part(self, progress: float) -> int:
        """Which part of the trajectory a place of the training lies in, 0 without one.

        Args:
            progress: part of the training that is done, in [0, 1].

        Raises:
            ValueError: for another progress.
        """
        if not 0 <= progress <= 1:
            raise ValueError(f'progress is the part of the training that is done, in [0, 1], got {progress}')
        count = max(len(self.trajectory), 1)
        return min(int(progress * count), count - 1)

    def at(self, progress: float) -> 'AugmentPolicy':
        """The policy that holds at a place of the training, without a trajectory.

        Args:
            progress: part of the training that is done, in [0, 1].

        Raises:
            ValueError: for another progress.
        """
        part = self.part(progress)
        if not self.trajectory:
            return self
        point = self.trajectory[part]
        weights = iter(point.weights)
        subs = tuple(
            replace(
                sub,
                stages=tuple(
                    replace(stage, choices=tuple(replace(choice, weight=next(weights)) for choice in stage.choices))
                    for stage in sub.stages
                ),
            )
            for sub in self.sub_policies
        )
        return replace(self, sub_policies=subs, probability=point.probability, trajectory=())

    def save(self, path: str | Path) -> None:
        """Write the policy as a JSON file.

        Raises:
            PolicyError: if the origin is no plain data.
        """
        check_depth(self.origin, 'origin')
        write_policy(path, self)

    @classmethod
    def load(cls, path: str | Path) -> 'AugmentPolicy':
        """Read a policy.

        Raises:
            FileNotFoundError: if there is no such file.
            PolicyError: naming the file and what is wrong with it.
        """
        return cls.from_dict(read_json(path), str(path))

    def to_dict(self) -> dict[str, Any]:
        """The policy as plain data."""
        data: dict[str, Any] = {'kind': KIND, 'schema_version': SCHEMA_VERSION, 'probability': self.probability}
        data['sub_policies'] = [
            {
                'weight': sub.weight,
                'stages': [
                    {'repeat': stage.repeat, 'choices': [choice_data(choice) for choice in stage.choices]}
                    for stage in sub.stages
                ],
            }
            for sub in self.sub_policies
        ]
        if self.trajectory:
            data['trajectory'] = [
                {'probability': point.probability, 'weights': list(point.weights)} for point in self.trajectory
            ]
        fill = self.fill if isinstance(self.fill, (str, int, float)) else list(self.fill)
        return {**data, 'fill': fill, 'interpolation': self.interpolation, 'origin': dict(self.origin)}

    @classmethod
    def from_dict(cls, data: Any, where: str = 'policy') -> 'AugmentPolicy':
        """A policy from plain data.

        Args:
            data: of :meth:`to_dict`.
            where: for messages.

        Raises:
            PolicyError: naming ``where`` and the field.
        """
        try:
            return cls._read(data)
        except PolicyError as error:
            raise PolicyError(f'{where}: {error}') from None

    @classmethod
    def _read(cls, data: Any) -> 'AugmentPolicy':
        data = plain_object(data, 'the policy', {'kind', 'schema_version', *cls.__dataclass_fields__})
        kind, version = data.pop('kind', KIND), data.pop('schema_version', None)
        if kind != KIND:
            raise PolicyError(f'kind is {shown(kind)}, {cls.__name__} reads {KIND!r}; {reader_of(kind)}')
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise PolicyError(f'schema_version is {shown(version)}, this release reads {SCHEMA_VERSION}')
        subs = tuple(
            read_sub_policy(entry, f'sub_policies[{position}]')
            for position, entry in enumerate(array(data.pop('sub_policies', None), 'sub_policies'))
        )
        points = tuple(
            read_point(entry, f'trajectory[{position}]')
            for position, entry in enumerate(array(data.pop('trajectory', []), 'trajectory'))
        )
        if isinstance(data.get('fill'), list):
            data['fill'] = tuple(data['fill'])
        return cls(subs, trajectory=points, **data)
