"""Run the races: ``python -m benchmarks [--quick] [--only ID ...] [--json FILE] [--threads N]``.

Every race prints its tables as soon as it ends. A race that fails does not lose the others; the exit code is then 1.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

# torch is imported inside the functions: it reads its settings from the environment once, which `restart` has to set
# before.
RACES = Path(__file__).parent / 'races'
CONTRACT = ('TITLE', 'METRICS', 'run')
# Without these glibc returns large blocks to the system after every operation, and the page faults of getting them
# again cost two to three times the computation on large CPU tensors.
ALLOCATOR = {'MALLOC_MMAP_MAX_': '0', 'MALLOC_TRIM_THRESHOLD_': '-1'}


def race_modules(folder: Path = RACES) -> dict[str, str]:
    """Id of every race -> name of its module: ``b1_temporal_shift.py`` is B1."""
    stems = sorted(path.stem for path in folder.glob('[!_]*.py'))
    return {stem.split('_')[0].upper(): f'benchmarks.races.{stem}' for stem in stems}


def load_race(name: str) -> ModuleType:
    """Import a race.

    Raises:
        AttributeError: if it lacks a part of what every race has.
    """
    module = importlib.import_module(name)
    missing = [part for part in CONTRACT if not hasattr(module, part)]
    if missing:
        raise AttributeError(f'{name} has no {", ".join(missing)}; every race has {", ".join(CONTRACT)}')
    return module


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    known = race_modules()
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description='Races of mmdas against its contestants.')
    parser.add_argument('--quick', action='store_true', help='fewer and smaller sizes: 20 minutes on two CPU cores')
    parser.add_argument(
        '--only', nargs='+', metavar='ID', type=str.upper, choices=sorted(known), help=f'of {" ".join(known)}'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write or update {id: {metric: value}}')
    parser.add_argument('--threads', type=int, default=1, metavar='N', help='CPU threads, default 1')
    return parser.parse_args(arguments)


def wanted_environment(threads: int) -> dict[str, str]:
    """Variables that a measurement needs and that are not set yet."""
    wanted = {'OMP_NUM_THREADS': str(threads)}
    if platform.system() == 'Linux':
        wanted |= ALLOCATOR
    return {name: value for name, value in wanted.items() if name not in os.environ}


def restart(threads: int) -> None:
    """Start this process again with the environment of a measurement, where it is not there yet."""
    wanted = wanted_environment(threads)
    if wanted:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **wanted})


def describe_machine(quick: bool, threads: int) -> dict[str, object]:
    """What the numbers were measured on."""
    import torch

    from benchmarks.harness import available_cores

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name()
    return dict(device=device, cores=available_cores(), threads=threads, torch=torch.__version__, quick=quick)


def processor_name() -> str:
    """Name of the CPU, as exact as the system tells it."""
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def load_average() -> str:
    """Load of the last minute: with more than the threads of the race, somebody else was running."""
    return f'{os.getloadavg()[0]:.2f}' if hasattr(os, 'getloadavg') else 'unknown'


def update_json(path: Path, changes: dict[str, dict]) -> None:
    """Replace some entries of a JSON file and keep the others; the file is whole at any time."""
    content = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.part')
    temporary.write_text(json.dumps({**content, **changes}, indent=2) + '\n', encoding='utf-8')
    temporary.replace(path)


def run_race(identifier: str, race: ModuleType, settings: object) -> dict[str, float]:
    """Run a race, print its tables and give its metrics."""
    print(f'\n## {identifier}: {race.TITLE}\n\nload before: {load_average()}', flush=True)
    start = time.perf_counter()
    report = race.run(settings)
    print(f'load after: {load_average()}, {time.perf_counter() - start:.0f} s\n\n{report.markdown()}', flush=True)
    for metric in race.METRICS:
        if metric not in report.metrics:
            print(f'{identifier}.{metric} was not measured')
    return report.metrics


def check_declared(identifier: str, race: ModuleType, metrics: dict[str, float]) -> None:
    """Every metric that a race gives is one that it declares.

    Raises:
        ValueError: if not.
    """
    undeclared = sorted(set(metrics) - set(race.METRICS))
    if undeclared:
        raise ValueError(f'{identifier} gives {undeclared}, which METRICS of {race.__name__} does not list')


def run_races(races: dict[str, str], settings: object, machine: dict[str, object], path: Path | None = None) -> int:
    """Run races one after the other.

    Args:
        races: id -> module.
        settings: :class:`benchmarks.harness.Settings`.
        machine: description, for the JSON.
        path: of the JSON, updated after every race; None writes none.

    Returns:
        Exit code: 1 if a race failed.
    """
    failed = []
    for identifier, name in races.items():
        try:
            race = load_race(name)
            metrics = run_race(identifier, race, settings)
            if path is not None:
                update_json(path, {'machine': machine, identifier: metrics})
            check_declared(identifier, race, metrics)
        except Exception:  # the other races still count
            traceback.print_exc()
            print(f'{identifier} failed', flush=True)
            failed.append(identifier)
    if failed:
        print(f'\nfailed: {", ".join(failed)}')
    return int(bool(failed))


def main() -> int:
    """Run what the command line asks for."""
    args = parse_arguments()
    restart(args.threads)
    import torch

    from benchmarks.harness import Settings

    torch.set_num_threads(args.threads)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    machine = describe_machine(args.quick, args.threads)
    print('# ' + ', '.join(f'{name} {value}' for name, value in machine.items()))
    races = {key: name for key, name in race_modules().items() if args.only is None or key in args.only}
    return run_races(races, Settings(args.quick, device, args.threads), machine, args.json)


if __name__ == '__main__':
    sys.exit(main())
