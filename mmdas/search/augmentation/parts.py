"""The parts of an augmentation policy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """An operation that a stage may draw.

    Args:
        operation: a name of the table of operations.
        magnitude: a number in the operation's unit, or (low, high) to draw from uniformly. Default: 0.
        probability: that a drawn operation is applied. Default: 1.
        weight: of the draw, relative to the other choices of the stage. Default: 1.
        signed: whether the sign of the magnitude is drawn. Default: False.
    """

    operation: str
    magnitude: float | tuple[float, float] = 0.0
    probability: float = 1.0
    weight: float = 1.0
    signed: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest magnitude before its sign is drawn."""
        return self.magnitude if isinstance(self.magnitude, tuple) else (self.magnitude, self.magnitude)


@dataclass(frozen=True)
class Stage:
    """A draw of one of several operations.

    Args:
        choices: to draw from.
        repeat: draws one after the other, each independent of the others. Default: 1.
    """

    choices: tuple[Choice, ...]
    repeat: int = 1


@dataclass(frozen=True)
class SubPolicy:
    """Stages that an image goes through one after the other.

    Args:
        stages: in order.
        weight: of the draw of this sub-policy, relative to the others. Default: 1.
    """

    stages: tuple[Stage, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class TrajectoryPoint:
    """What holds in a part of a training.

    Args:
        probability: that an image is augmented.
        weights: of all choices, in the order of the policy.
    """

    probability: float
    weights: tuple[float, ...]
