"""From a network to a file."""

import importlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from .description import Description
from .error import ExportError
from .network import DeployableNetwork

METADATA = 'mmdas.json'  # within a program of torch.export
INPUT, OUTPUT = 'images', 'scores'
PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


def export_program(network: DeployableNetwork, size: tuple[int, int], dynamic_size: bool = False) -> ExportedProgram:
    """Record a network for any number of images.

    Args:
        network: what is recorded.
        size: (H, W) of the images.
        dynamic_size: whether images of other sizes may come, too. Default: False, the graph has no other.

    Returns:
        The program, of images (B, C, H, W), float32, with B >= 1.

    Raises:
        ExportError: if the network computes what a graph cannot hold, such as another way for another size, or
            random operations are to have several sizes.
    """
    if dynamic_size and network.random_operations:
        raise ExportError(
            f'the policy has {", ".join(network.random_operations)}, whose random numbers are constants of one size in '
            'a graph; leave --dynamic-size out, or search a policy without them'
        )
    if dynamic_size and network.views is not None:
        raise ExportError('views have one size in a graph; leave --dynamic-size out, or the --policy of views')
    images = torch.rand(2, network.channels, *size) * 255
    network.fix_draws(images[:1])
    shapes: dict[int, Any] = {0: Dim('batch', min=1)}
    if dynamic_size:
        shapes.update({2: Dim.DYNAMIC, 3: Dim.DYNAMIC})
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return torch.export.export(network, (images,), dynamic_shapes=(shapes,), strict=False)
    except FileNotFoundError:  # of a policy, see AbsentPolicy
        raise
    except Exception as error:  # of many kinds, that of torch.export among them
        remedy = 'leave --dynamic-size out' if dynamic_size else 'take another input size or a network without it'
        raise ExportError(
            f'torch.export cannot record {type(network.model).__name__}: {first_line(error)}; {remedy}'
        ) from error


def write_program(program: ExportedProgram, description: Description, path: str | Path) -> None:
    """Write a program of ``torch.export`` with its description; ``torch.export.load`` reads it."""
    torch.export.save(program, str(path), extra_files={METADATA: json.dumps(description.to_texts())})


def write_onnx(program: ExportedProgram, description: Description, path: str | Path) -> None:
    """Write ONNX by PyTorch's dynamo exporter, with the description as ``metadata_props``.

    The exporter of TorchScript (``dynamo=False``) cannot take the gated fusions, whose kernels are computed.

    Raises:
        ExportError: if a package is missing, or ONNX has no such operator.
    """
    require_packages()
    axes = {0: 'batch', 2: 'height', 3: 'width'}
    named = axes if description.size is None else {0: axes[0]}
    try:
        with quiet():
            done: Any = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(named,),
                verbose=False,
                external_data=False,
            )
    except Exception as error:
        raise ExportError(f'ONNX cannot hold the network: {first_line(error)}; take --out MODEL.pt2') from error
    done.model.metadata_props.update(description.to_texts())
    done.save(str(path), external_data=False)


def require_packages(names: tuple[str, ...] = PACKAGES) -> None:
    """Check that optional packages are there.

    Raises:
        ExportError: saying what to install.
    """
    missing = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            other = getattr(error, 'name', None)
            missing.append(name if other in (None, name) else f'{name} (which lacks {other})')
    if missing:
        raise ExportError(
            f"ONNX needs {', '.join(missing)}, not installed: pip install 'mmdas[export]', or pip install "
            f'{" ".join(part.partition(" ")[0] for part in missing)}; --out MODEL.pt2 (torch.export) needs none'
        )


def first_line(error: BaseException) -> str:
    """The first line, that is not empty, of what caused an error at first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of the exporter, and its log of constants that it does not fold."""
    import logging

    loggers = [logging.getLogger(name) for name in ('onnxscript', 'onnx_ir', 'torch.onnx')]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
