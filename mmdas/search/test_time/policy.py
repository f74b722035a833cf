"""A policy of test time: views and weights, as a small, versioned, human-readable file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmdas.search.policy_file import (
    PolicyError,
    check_fields,
    check_origin,
    kind_of,
    read_json,
    reader_of,
    register_policy,
    shown,
    write_policy,
)

from .view import View

KIND = 'test-time'
SCHEMA_VERSION = 1
MAX_VIEWS = 64  # each costs a pass of the network
CLOSE = 1e-4  # of the sum of the weights to 1


@register_policy(KIND)
@dataclass(frozen=True)
class ViewPolicy:
    """Views of an image, of whose predictions the weighted mean is taken.

    Args:
        views: at most 64, each once; at least one shows every pixel (no warp).
        weights: of the views, positive, with the sum 1.
        origin: where it comes from: config, checkpoint, data, scores, cost. Free of meaning for a prediction.

    Raises:
        PolicyError: if a field is not usable, naming it.
    """

    views: tuple[View, ...] = (View(),)
    weights: tuple[float, ...] = (1.0,)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.origin, Mapping):
            raise PolicyError(f'origin is a {type(self.origin).__name__}, expected a JSON object')
        if not 1 <= len(self.views) <= MAX_VIEWS or len(self.views) != len(self.weights):
            raise PolicyError(
                f'views has {len(self.views)} views and {len(self.weights)} weights, expected as many, from 1 to '
                f'{MAX_VIEWS}'
            )
        for position, weight in enumerate(self.weights):
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not 0 < weight <= 1 + CLOSE:  # NaN compares false
                raise PolicyError(f'views[{position}].weight is {shown(weight)}, expected a number in (0, 1]')
        if abs(sum(self.weights) - 1) > CLOSE:
            raise PolicyError(f'views: the sum of the weights is {sum(self.weights):g}, expected 1')
        if len(set(self.views)) < len(self.views):
            double = next(view for view in self.views if self.views.count(view) > 1)
            raise PolicyError(f'views holds "{double}" more than once; add up the weights')
        if not any(view.sees_all for view in self.views):
            raise PolicyError(
                'views holds warps alone, none of which shows every pixel; add the image, its mirror image or one of '
                'another size'
            )

    @property
    def is_image(self) -> bool:
        """Whether it is the image alone, so that the prediction is the plain one."""
        return len(self.views) == 1 and self.views[0].is_image

    @property
    def cost(self) -> float:
        """Pixels that the network looks at, in those of the image."""
        return sum(view.size**2 for view in self.views)

    def to_dict(self) -> dict:
        """Plain data of the policy, as the file holds it."""
        views = [{'weight': weight, **asdict(view)} for view, weight in zip(self.views, self.weights, strict=True)]
        return {'kind': KIND, 'schema_version': SCHEMA_VERSION, 'views': views, 'origin': dict(self.origin)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = 'policy') -> 'ViewPolicy':
        """Policy of plain data.

        Raises:
            PolicyError: for another kind or schema version, a missing or unknown field, or an unusable value.
        """
        if not isinstance(data, Mapping):
            raise PolicyError(f'{where}: expected a JSON object, got {type(data).__name__}')
        kind = kind_of(data)
        if kind != KIND:
            raise PolicyError(
                f'{where}: kind is {shown(kind)}, which {reader_of(kind)}; here {KIND!r} is expected, a policy of '
                'views, as a search of test time writes it; mmdas.search.load_policy reads all kinds'
            )
        version = data.get('schema_version')
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise PolicyError(
                f'{where}: schema_version is {shown(version)}, this release of mmdas reads {SCHEMA_VERSION}; search '
                'again or convert the file'
            )
        check_fields(data, {'kind', 'schema_version', 'views', 'origin'}, {'views'}, where)
        origin = data.get('origin', {})
        check_origin(origin, f'{where}: origin')
        if not isinstance(data['views'], (list, tuple)):
            raise PolicyError(f'{where}: views is a {type(data["views"]).__name__}, expected a list')
        views, weights = [], []
        names = {one.name for one in fields(View)}
        for position, row in enumerate(data['views'][: MAX_VIEWS + 1]):
            check_fields(row, names | {'weight'}, {'weight'}, f'{where}: views[{position}]')
            options = {key: value for key, value in row.items() if key != 'weight'}
            try:
                views.append(View(**options))
            except PolicyError as error:
                raise PolicyError(f'{where}: views[{position}].{error}') from None
            weights.append(row['weight'])
        try:
            return cls(tuple(views), tuple(weights), origin)
        except PolicyError as error:
            raise PolicyError(f'{where}: {error}') from None

    def save(self, path: str | Path) -> None:
        """Write the policy as JSON.

        Raises:
            PolicyError: if ``origin``, the one free field, holds what JSON cannot, such as NaN or an object.
        """
        write_policy(path, self)

    @classmethod
    def load(cls, path: str | Path) -> 'ViewPolicy':
        """Read a policy that :meth:`save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            PolicyError: naming the file and the field that is wrong.
        """
        return cls.from_dict(read_json(path), where=str(path))
