"""L1: latency of one image: PyTorch, ``torch.compile`` and the file of ``mmdas export``, plain and with T frames."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.hosts import build_model
from mmdas.deploy import DeployableNetwork, check_file, export_program, write_onnx, write_program
from mmdas.deploy.check import draw_images
from mmdas.deploy.description import describe
from mmdas.deploy.graph import PACKAGES
from mmdas.deploy.latency import find_ways

TITLE = 'latency of one image from pixels to scores on the CPU: PyTorch, compiled, exported; plain and with T frames'
METRICS = ('exported_to_pytorch', 'das_to_plain')
HOSTS = ('classifier R18', 'PSPNet R18')
FRAMES = 4
ROUNDS = 24
SIDES = {'classifier R18': 224, 'PSPNet R18': 192}
QUICK_HOSTS, QUICK_SIDE = HOSTS[:1], 64


def run(settings: Settings) -> Report:
    """Time each host, plain and with frames; without ONNX the file is a program of ``torch.export``."""
    report, worst = Report(), {'exported_to_pytorch': 0.0, 'das_to_plain': 0.0}
    for name in QUICK_HOSTS if settings.quick else HOSTS:
        side = QUICK_SIDE if settings.quick else SIDES[name]
        timings, notes = race_host(name, side)
        rows = [row(way, timings) for way in ('PyTorch', 'compiled', 'onnxruntime', 'torch.export')]
        columns = ('way', 'plain, ms', f'T={FRAMES}, ms', 'T / plain')
        report.table(f'{name}, 1x{side}x{side}, median (min)', columns, [line for line in rows if line is not None])
        for note in notes:
            print(note)
        way = next(key for key in ('DAS onnxruntime', 'DAS torch.export') if key in timings)
        found = (ratio(timings[way], timings['DAS PyTorch']), ratio(timings[way], timings[way.replace('DAS', 'plain')]))
        worst = {key: max(worst[key], value) for key, value in zip(worst, found, strict=True)}
    for key, value in worst.items():
        report.metric(key, value)
    return report


def row(way: str, timings: dict[str, Timing]) -> tuple | None:
    """One line of the table; None for a way that is not there."""
    plain, das = timings.get(f'plain {way}'), timings.get(f'DAS {way}')
    if plain is None or das is None:
        return None
    return way, plain.milliseconds, das.milliseconds, ratio(das, plain)


def race_host(name: str, side: int) -> tuple[dict[str, Timing], list[str]]:
    """Timings of all ways, each compared with the model before, and why ways are left out."""
    ways, notes = {}, []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for kind, frames in (('plain', None), ('DAS', FRAMES)):
            network = DeployableNetwork(build_model(name, side, frames))
            path = write(network, Path(folder, kind), (side, side))
            found, lacking = find_ways(network, path, draw_images(1, network.channels, (side, side), pixels=True))
            ways.update({f'{kind} {way}': predict for way, predict in found.items()})
            notes += lacking
        return race(ways, ROUNDS, warmup=10), notes


def write(network: DeployableNetwork, stem: Path, size: tuple[int, int]) -> Path:
    """Export as ONNX where its packages are, and check the file."""
    onnx = all(map(find_spec, PACKAGES))
    path = stem.with_suffix('.onnx' if onnx else '.pt2')
    (write_onnx if onnx else write_program)(export_program(network, size), describe(network, size), path)
    check_file(network, path, [size])
    return path
