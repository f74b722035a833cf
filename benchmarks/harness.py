"""What all races share: fair timing, equality of the contestants, saved bytes, the machine's floor, the report."""

import gc
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

CPU = torch.device('cpu')
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Settings:
    """What a race is run with.

    Args:
        quick: fewer and smaller sizes and rounds; the contestants and the metrics are the same. Default: False.
        device: where the tensors are. Default: the CPU.
        threads: of the CPU. Default: 1.
    """

    quick: bool = False
    device: torch.device = CPU
    threads: int = 1


@dataclass(frozen=True)
class Timing:
    """Seconds of one contestant in every round."""

    seconds: tuple[float, ...]

    @property
    def min(self) -> float:
        """The fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The usual round."""
        return statistics.median(self.seconds)

    @property
    def milliseconds(self) -> str:
        """Median and minimum for a table."""
        return f'{cell(1e3 * self.median)} ({cell(1e3 * self.min)})'


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python's garbage collector from running in the middle of a measurement.

    What is there already is set aside, so that an explicit ``gc.collect()`` inside looks only at what came since.
    """
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def race(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    warmup: int = 1,
    device: torch.device = CPU,
    clock: Callable[[], float] | None = None,
) -> dict[str, Timing]:
    """Time contestants against each other in one process.

    In every round each contestant runs once; the order rotates from round to round, so that no one always runs first
    (on a cool or cold machine) or after the same neighbour. The results are freed outside the measured time.

    Args:
        contestants: name -> function without arguments.
        rounds: measured rounds, >= 1; a multiple of the number of contestants gives everyone every position.
        warmup: rounds before those that are measured, >= 0. Default: 1.
        device: synchronised before and after every call. Default: the CPU.
        clock: in seconds; ``time.process_time`` counts those of the CPU, whatever else runs. Default: the wall's.

    Returns:
        name -> seconds in every round; second i of all contestants comes from the same round.

    Raises:
        ValueError: without contestants or rounds.
    """
    if not contestants or rounds < 1:
        raise ValueError(f'a race needs contestants and rounds, got {len(contestants)} contestants, rounds={rounds}')
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with without_collector():
        for number in range(-warmup, rounds):
            gc.collect()
            start = number % len(names)
            for name in names[start:] + names[:start]:
                spent = _time_once(contestants[name], device, clock)
                if number >= 0:
                    seconds[name].append(spent)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def _time_once(function: Callable[[], object], device: torch.device, clock: Callable[[], float] | None = None) -> float:
    clock = clock or time.perf_counter
    synchronize(device)
    start = clock()
    result = function()
    synchronize(device)
    spent = clock() - start
    del result
    return spent


def ratio(a: Timing, b: Timing) -> float:
    """How many times as long ``a`` takes: the median over the rounds of a_i / b_i.

    Pairs of one round ran next to each other, so that a slow drift of the machine cancels.

    Raises:
        ValueError: if the two have different numbers of rounds.
    """
    return statistics.median(x / y for x, y in zip(a.seconds, b.seconds, strict=True))


def forward_and_backward(
    form: Callable[[], Tensor], wanted: Sequence[Tensor], grad: Tensor
) -> Callable[[], list[Tensor]]:
    """A contestant that computes something and its gradients.

    Args:
        form: function that gives the output.
        wanted: tensors with gradients.
        grad: of the output.

    Returns:
        Function that gives the output and the gradients of ``wanted``.
    """

    def step() -> list[Tensor]:
        output = form()
        return [output, *torch.autograd.grad(output, wanted, grad)]

    return step


def check_equal(outputs: Mapping[str, Tensor | Sequence[Tensor]], rtol: float, atol: float) -> None:
    """Compare what every contestant computed with what the first did.

    Args:
        outputs: name -> tensor or tensors (a result and its gradients, say).
        rtol, atol: |difference| <= atol + rtol * |first's value| at every place.

    Raises:
        AssertionError: names the contestant, the tensor and its worst difference.
    """
    (first, expected), *others = [(name, _as_list(values)) for name, values in outputs.items()]
    for name, values in others:
        if len(values) != len(expected):
            raise AssertionError(f'{name} gives {len(values)} tensors, {first} gives {len(expected)}')
        for index, (value, reference) in enumerate(zip(values, expected, strict=True)):
            problem = _difference(value, reference, rtol, atol)
            if problem:
                raise AssertionError(f'{name} differs from {first} in tensor {index}: {problem}')


def _as_list(values: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else list(values)


def _difference(value: Tensor, reference: Tensor, rtol: float, atol: float) -> str | None:
    if value.shape != reference.shape:
        return f'shape {tuple(value.shape)} instead of {tuple(reference.shape)}'
    value, reference = value.detach().double(), reference.detach().double()
    if torch.isclose(value, reference, rtol, atol).all():
        return None
    worst = (value - reference).abs().max().item()
    return (
        f'worst difference {worst:.3g} with values up to {reference.abs().max().item():.3g} (rtol={rtol}, atol={atol})'
    )


def saved_bytes(function: Callable[[], object]) -> int:
    """Bytes that autograd keeps for the backward pass of what the function computes.

    Every storage counts once. What was there before the call, such as parameters, inputs and cached constants, does
    not count: nobody holds it for the sake of the backward pass. What a custom ``autograd.Function`` stores past
    ``save_for_backward`` is not seen.

    Args:
        function: computes something differentiable; 0 for one that has nothing to differentiate.
    """
    # The storages themselves, not only their identities, which would be given out again.
    before = {storage._cdata: storage for tensor in _living_tensors() for storage in _storages(tensor)}
    saved = {}

    def pack(tensor: Tensor) -> Tensor:
        saved.update((storage._cdata, storage) for storage in _storages(tensor))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    total = sum(storage.nbytes() for identity, storage in saved.items() if identity not in before)
    del result
    return total


def _living_tensors() -> list[Tensor]:
    """All tensors with memory; those of other types, such as torch.compile's fake ones, may have no storage."""
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) in (Tensor, torch.nn.Parameter)]


def _storages(tensor: Tensor) -> list[torch.UntypedStorage]:
    if tensor.layout == torch.strided:
        parts = [tensor]
    elif tensor.layout == torch.sparse_coo:
        parts = [tensor._indices(), tensor._values()]
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    else:
        raise TypeError(f'cannot tell the bytes of a tensor of layout {tensor.layout}')
    return [part.untyped_storage() for part in parts]


@dataclass(frozen=True)
class Table:
    """Rows under a title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def markdown(self) -> str:
        """The table in Markdown, numbers with three significant digits."""
        lines = [self.columns, ['---'] * len(self.columns), *([cell(value) for value in row] for row in self.rows)]
        return '\n'.join([f'**{self.title}**', '', *(f'| {" | ".join(line)} |' for line in lines)])


def cell(value: object) -> str:
    """Text of a table's cell: three significant digits, a dash for what was not measured."""
    if value is None:
        return '-'
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value) or value == 0:
        return f'{value:g}'
    return f'{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}'


@dataclass
class Report:
    """Tables to read and metrics to keep, in the order in which a race found them."""

    tables: list[Table] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table.

        Raises:
            ValueError: for a row of another length than the columns.
        """
        rows = tuple(tuple(row) for row in rows)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f'table {title!r} has {len(columns)} columns, got the row {row}')
        self.tables.append(Table(title, tuple(columns), rows))

    def metric(self, name: str, value: float) -> None:
        """Set a metric, a finite number.

        Raises:
            ValueError: for a number that is not finite, or a name that is there already.
        """
        if name in self.metrics:
            raise ValueError(f'metric {name} is set twice')
        if not math.isfinite(value):
            raise ValueError(f'metric {name} must be a finite number, got {value}')
        self.metrics[name] = float(value)

    def markdown(self) -> str:
        """All tables, and the metrics as the last one."""
        metrics = Table('metrics', ('metric', 'value'), tuple(self.metrics.items()))
        return '\n\n'.join(table.markdown() for table in [*self.tables, metrics])
