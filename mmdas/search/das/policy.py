"""A policy: the discretised cell as a small, versioned, human-readable file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from math import inf, log10
from pathlib import Path
from typing import Any

import torch

from mmdas.ops.affine import PADDINGS
from mmdas.search.policy_file import (
    DEFAULT_KIND,
    PolicyError,
    check_fields,
    check_origin,
    read_json,
    reader_of,
    register_policy,
    shown,
    write_policy,
)

from .operation import RAMPS, SIDES, Size, check_size, draw_strength
from .operation_table import OPERATIONS, known_operations
from .search_space import build_space
from .topology import NUM_INPUTS, REDUCTIONS, needed_nodes

SCHEMA_VERSION = 2
# Files of version 1 have no reference size: their shifts are shares of the crops that a training makes its clips of.
READABLE_VERSIONS = (1, 2)
_LARGEST = torch.finfo(torch.float32).max
# More than any use of a cell; what a policy costs to read and to apply is bounded by them.
MAX_FRAMES, MAX_NODES, MAX_SIDE, MAX_SEED = 1024, 256, 2**20, 2**62
# What coordinates and values are multiplied by at most: single precision ends at 1e38, and warps multiply coordinates.
MAX_GROWTH, MAX_SUM = 1e15, 1e6


@dataclass(frozen=True)
class PolicyEdge:
    """Edge source -> target with its operation and the strength in the operation's unit per step."""

    source: int
    target: int
    operation: str
    strength: float


@register_policy(DEFAULT_KIND)
@dataclass(frozen=True)
class Policy:
    """A discretised cell.

    Args:
        num_frames: T >= 1.
        num_nodes: intermediate nodes; nodes 0 and 1 are the input, the last one is the clip.
        edges: the kept edges.
        ramp: ``'signed'`` or ``'mirrored'``.
        padding: ``'zeros'``, ``'border'`` or ``'reflection'``.
        node_reduction: ``'mean'`` or ``'sum'``.
        operations: names of the space that was searched.
        seed: of the strengths and of the random operations in evaluation.
        reference_size: (H, W) in whose sides the shifts count: 0.05 of a width of 64 is 3.2 pixels, in images of every
            size. None: not known; the data preprocessors take the size of the training's crops, and plain
            :class:`PolicyClip` that of each image.
        origin: where it comes from: config, data, seed, date, search cost. Free of meaning for the clip.

    Raises:
        PolicyError: if a field is not usable, naming the field.
    """

    num_frames: int
    num_nodes: int
    edges: tuple[PolicyEdge, ...]
    ramp: str = 'signed'
    padding: str = 'zeros'
    node_reduction: str = 'mean'
    operations: tuple[str, ...] = ()
    seed: int = 0
    reference_size: Size | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check every field.

        Raises:
            PolicyError: for T < 1, an unknown word, a strength that is not finite, an edge that runs backwards (a
                cycle) or twice, or a node without an incoming edge.
        """
        self._validate_fields()
        if not isinstance(self.origin, Mapping):
            raise PolicyError(f'origin is a {type(self.origin).__name__}, expected a JSON object')
        for position, edge in enumerate(self.edges):
            self._validate_edge(edge, f'edges[{position}]')
        self._validate_graph()

    def _validate_fields(self) -> None:
        bounds = (('num_frames', 1, MAX_FRAMES), ('num_nodes', 1, MAX_NODES), ('seed', 0, MAX_SEED))
        for name, low, high in bounds:
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:  # True is no number of frames
                raise PolicyError(f'{name} is {shown(value)}, expected an integer of at least {low}, at most {high}')
        for name, words in (('ramp', RAMPS), ('padding', PADDINGS), ('node_reduction', REDUCTIONS)):
            if getattr(self, name) not in words:
                raise PolicyError(f'{name} is {shown(getattr(self, name))}, expected one of {words}')
        unknown = [name for name in self.operations if name not in tuple(OPERATIONS)]
        if unknown:
            raise PolicyError(f'operations holds {shown(unknown)}; {known_operations()}')
        try:
            object.__setattr__(self, 'reference_size', check_size(self.reference_size))  # JSON has lists
        except ValueError as error:
            raise PolicyError(str(error)) from None
        if self.reference_size is not None and max(self.reference_size) > MAX_SIDE:
            raise PolicyError(f'reference_size is {shown(self.reference_size)}, expected sides of at most {MAX_SIDE}')

    def _validate_edge(self, edge: PolicyEdge, where: str) -> None:
        last = NUM_INPUTS + self.num_nodes - 1
        for name in ('source', 'target'):
            if type(getattr(edge, name)) is not int or not 0 <= getattr(edge, name) <= last:
                raise PolicyError(f'{where}.{name} is {shown(getattr(edge, name))}, expected a node in 0..{last}')
        if edge.source >= edge.target:
            raise PolicyError(
                f'{where} runs from node {edge.source} to {edge.target}: a cycle; edges lead to later nodes'
            )
        if edge.target < NUM_INPUTS:
            raise PolicyError(f'{where}.target is {edge.target}, an input node; targets are {NUM_INPUTS}..{last}')
        if edge.operation not in tuple(OPERATIONS):
            raise PolicyError(f'{where}.operation is {shown(edge.operation)}; {known_operations()}')
        number = isinstance(edge.strength, (int, float)) and not isinstance(edge.strength, bool)
        if not number or not abs(edge.strength) <= _LARGEST:  # NaN compares false
            raise PolicyError(f'{where}.strength is {shown(edge.strength)}, expected a finite number')
        if OPERATIONS[edge.operation].growth == 'power' and edge.strength <= -1:
            raise PolicyError(f'{where}.strength is {edge.strength}, but {edge.operation} needs more than -1')

    def _validate_graph(self) -> None:
        pairs = [(edge.source, edge.target) for edge in self.edges]
        doubles = sorted(pair for pair, count in Counter(pairs).items() if count > 1)
        if doubles:
            raise PolicyError(f'edges holds {doubles} more than once')
        targets = {target for _, target in pairs}
        for node in range(NUM_INPUTS, NUM_INPUTS + self.num_nodes):
            if node not in targets:
                raise PolicyError(f'edges has a missing edge: no edge ends in node {node}')

    def check_clip(self) -> None:
        """Check that the clip is finite: neither warps after warps, nor sums of sums, leave the numbers that there are.

        Followed is the logarithm of what coordinates are multiplied by at most, in the frame that is farthest from the
        reference frame, and how often the image is added up. A search writes its policy whatever this says.

        Raises:
            PolicyError: naming how far it goes.
        """
        growth: dict[int, float] = {}
        share: dict[int, float] = {}
        for edge in sorted(self.edges, key=lambda edge: edge.target):
            reached = growth.get(edge.source, 0.0) + self._growth(edge)
            growth[edge.target] = max(growth.get(edge.target, 0.0), reached)
            share[edge.target] = share.get(edge.target, 0.0) + share.get(edge.source, 1.0)
        largest = max(growth.values())
        if largest > log10(MAX_GROWTH):
            told = f'1e{largest:.0f}' if largest < inf else 'inf'
            raise PolicyError(
                f'edges: their strengths, one after the other, reach {told} in the outermost of {self.num_frames} '
                f'frames, expected at most {MAX_GROWTH:g}; lower them'
            )
        if self.node_reduction == 'sum' and max(share.values()) > MAX_SUM:
            raise PolicyError(
                f"edges: with node_reduction 'sum' they add up {max(share.values()):.0e} copies of the image, expected "
                f"at most {MAX_SUM:g}; node_reduction 'mean' takes the mean"
            )

    def _growth(self, edge: PolicyEdge) -> float:
        """Logarithm of what the operation of an edge multiplies coordinates by at most."""
        operation, steps = OPERATIONS[edge.operation], self.num_frames // 2
        if operation.growth == 'power':  # in single precision, a strength nearer to -1 is -1
            return steps * abs(log10(1 + edge.strength)) if 1 + edge.strength > 1e-6 else inf
        side = max(self.reference_size or (1,)) if operation.unit in SIDES else 1
        magnitude = abs(edge.strength) * steps * side
        bounded = not operation.geometric or operation.unit in ('degree', 'flips')
        return 0.0 if bounded and magnitude < MAX_GROWTH else log10(1 + magnitude)

    @property
    def needed_edges(self) -> tuple[PolicyEdge, ...]:
        """The edges that the clip depends on."""
        needed = needed_nodes([(edge.source, edge.target) for edge in self.edges], NUM_INPUTS + self.num_nodes - 1)
        return tuple(edge for edge in self.edges if edge.target in needed)

    @property
    def repeats_image(self) -> bool:
        """Whether all frames of the clip are the image, since it depends on no operation but the identity."""
        unchanged = all(OPERATIONS[edge.operation].is_identity for edge in self.needed_edges)
        return unchanged and self.node_reduction == 'mean'

    def content(self) -> dict:
        """What decides the clip, in one form, so that policies with equal content make equal clips.

        Left out are ``origin`` and ``operations``, edges that the clip does not depend on and their order, the strength
        of an identity, the seed where no operation draws, and the reference size where nothing counts in it.
        """
        edges = [
            asdict(replace(edge, strength=0.0 if OPERATIONS[edge.operation].is_identity else float(edge.strength)))
            for edge in sorted(self.needed_edges, key=lambda edge: (edge.target, edge.source))
        ]
        draws = any(OPERATIONS[edge.operation].random for edge in self.needed_edges)
        fields = ('num_frames', 'num_nodes', 'ramp', 'padding', 'node_reduction')
        counts = any(OPERATIONS[edge.operation].unit in SIDES for edge in self.needed_edges)
        return {
            **{name: getattr(self, name) for name in fields},
            'edges': edges,
            'seed': self.seed if draws else None,
            'reference_size': self.reference_size if counts else None,
        }

    def to_dict(self) -> dict:
        """Plain data of the policy with its schema version, as the file holds it."""
        return {'schema_version': SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = 'policy') -> 'Policy':
        """Policy of plain data.

        Raises:
            PolicyError: for another kind or schema version, a missing or unknown field, or an unusable value.
        """
        if not isinstance(data, Mapping):
            raise PolicyError(f'{where}: expected a JSON object, got {type(data).__name__}')
        data = dict(data)
        kind = data.pop('kind', DEFAULT_KIND)
        if kind != DEFAULT_KIND:
            raise PolicyError(
                f'{where}: kind is {shown(kind)}, which {reader_of(kind)}; here {DEFAULT_KIND!r} is expected, a policy '
                'of frames, as the search of a DASCell writes it; mmdas.search.load_policy reads all kinds'
            )
        version = data.pop('schema_version', None)
        if version not in READABLE_VERSIONS or isinstance(version, bool):
            raise PolicyError(
                f'{where}: schema_version is {shown(version)}, this release of mmdas reads {READABLE_VERSIONS}; '
                'search again or convert the file'
            )
        if version == 1 and 'reference_size' in data:
            raise PolicyError(f'{where}: reference_size belongs to schema_version 2, the file has {version}')
        check_fields(data, _names(cls), {'num_frames', 'num_nodes', 'edges'}, where)
        check_origin(data.get('origin'), f'{where}: origin')
        for name in ('edges', 'operations'):
            if not isinstance(data.setdefault(name, ()), (list, tuple)):
                raise PolicyError(f'{where}: {name} is a {type(data[name]).__name__}, expected a list')
        edges = []
        for position, edge in enumerate(data.pop('edges')):
            check_fields(edge, _names(PolicyEdge), _names(PolicyEdge), f'{where}: edges[{position}]')
            edges.append(PolicyEdge(**edge))
        data['operations'] = tuple(data['operations'])
        try:
            policy = cls(edges=tuple(edges), **data)
            policy.check_clip()
            return policy
        except PolicyError as error:
            raise PolicyError(f'{where}: {error}') from None

    def save(self, path: str | Path) -> None:
        """Write the policy as JSON.

        Raises:
            PolicyError: if ``origin``, the one free field, holds what JSON cannot, such as NaN or an object.
        """
        write_policy(path, self)

    @classmethod
    def load(cls, path: str | Path) -> 'Policy':
        """Read a policy that :meth:`save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            PolicyError: naming the file and the field that is wrong.
        """
        return cls.from_dict(read_json(path), where=str(path))

    @classmethod
    def random(
        cls,
        num_frames: int,
        space: str | Sequence[str] = 'paper',
        num_nodes: int = 4,
        ranges: Mapping[str, Sequence[float]] | None = None,
        share_strength: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> 'Policy':
        """A policy drawn uniformly: an operation and a strength for two random incoming edges of every node.

        Args:
            num_frames, space, num_nodes, ranges, share_strength, seed: as of the cell.
            options: further fields of the policy, such as ``ramp``.
        """
        operations = build_space(space, ranges, num_frames)
        generator = torch.Generator().manual_seed(seed)
        shared = {operation.name: draw_strength(operation, generator) for operation in operations if share_strength}
        edges = []
        for target in range(NUM_INPUTS, NUM_INPUTS + num_nodes):
            sources = torch.randperm(target, generator=generator)[:NUM_INPUTS].sort().values
            for source in sources.tolist():
                operation = operations[int(torch.randint(len(operations), (), generator=generator))]
                strength = shared[operation.name] if share_strength else draw_strength(operation, generator)
                edges.append(PolicyEdge(source, target, operation.name, strength))
        names = tuple(operation.name for operation in operations)
        options.setdefault('origin', {'method': 'random', 'seed': seed})
        return cls(num_frames, num_nodes, tuple(edges), operations=names, seed=seed, **options)


def _names(record: type) -> set[str]:
    """Names of the fields of a dataclass."""
    return {one.name for one in fields(record)}
