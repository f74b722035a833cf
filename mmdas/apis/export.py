"""From a config and a checkpoint to a file that runs without the toolbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdas.deploy import (
    DeployableNetwork,
    Description,
    ExportError,
    check_file,
    export_program,
    write_onnx,
    write_program,
)
from mmdas.deploy.description import describe
from mmdas.deploy.graph import require_packages
from mmdas.registry import type_name
from mmdas.search.test_time import ViewPolicy

from .clip_config import pipeline_of
from .config_loading import load_config
from .das_settings import preprocessor_of
from .inference import Inferencer
from .view_policy import channel_order

ENDINGS = ('.onnx', '.pt2')


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported.

    Args:
        out: of the file, ``.onnx`` or ``.pt2``.
        size: (H, W) of the input. Default: the window of slide inference, or the size that the test of the config gives
            to every image, or that of the training's crops.
        dynamic_size: whether images of other sizes may come. Default: False.
        pixels: whether the input is RGB pixels, and the graph normalises. Default: True.
        output: ``'logits'`` (default), ``'probabilities'`` or ``'labels'``.

    Raises:
        ExportError: for another ending of ``out``, a folder that is not there, or a size below 1.
    """

    out: str
    size: tuple[int, int] | None = None
    dynamic_size: bool = False
    pixels: bool = True
    output: str = 'logits'

    def __post_init__(self) -> None:
        if Path(self.out).suffix not in ENDINGS:
            raise ExportError(f'--out is {self.out}; its name must end with .onnx or .pt2 (torch.export)')
        if not Path(self.out).absolute().parent.is_dir():
            raise ExportError(f'--out is {self.out}, but there is no folder {Path(self.out).parent}; make it first')
        if self.size is not None and min(self.size) < 1:
            raise ExportError(f'--size is {self.size[0]} {self.size[1]}, expected two numbers of at least 1')


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        description: that the file holds.
        difference: the largest between file and model, as a share of the largest score or of 1.
        size: (H, W) that it was recorded with.
        network: the model that the file was compared with.
    """

    description: Description
    difference: float
    size: tuple[int, int]
    network: DeployableNetwork


def export_model(
    config: str | Path | Config,
    checkpoint: str | Path,
    options: ExportOptions,
    policy: str | Path | None = None,
    accept_difference: bool = False,
) -> Exported:
    """Write a trained model, plain or of DAS, as ONNX or as a program of ``torch.export``, and check the file.

    Args:
        config: path, name of an installed config, or a loaded config, as :func:`mmdas.apis.load_config` gives it.
        checkpoint: path of the weights.
        options: what is written.
        policy: file in place of the config's, or one of views, all of which the graph looks at.
        accept_difference: whether to load weights that were trained with other settings.

    Raises:
        FileNotFoundError: if there is no such config, checkpoint or policy.
        ValueError: as of :class:`mmdas.apis.Inferencer`.
        ExportError: if the model cannot be exported so, a package is missing, or the file differs from the model; a
            file of that name then stays as it was.
    """
    if Path(options.out).suffix == '.onnx':
        require_packages()
    cfg = config if isinstance(config, Config) else load_config(config)
    order = channel_order(cfg, preprocessor_of(cfg))
    pipeline = test_steps(cfg)
    inferencer = Inferencer(cfg, checkpoint, 'cpu', policy, accept_difference)
    network = DeployableNetwork(inferencer.model, order, options.pixels, options.output)
    size = options.size or find_size(cfg, network.model)
    told = describe(network, None if options.dynamic_size else size, classes=inferencer.classes, pipeline=pipeline)
    check_divisor(size, told.size_divisor)
    check_view_sizes(network.views, size, told.size_divisor)
    with DefaultScope.overwrite_default_scope(inferencer.scope):
        difference = write(network, told, options, size)
    return Exported(told, difference, size, network)


def write(network: DeployableNetwork, told: Description, options: ExportOptions, size: tuple[int, int]) -> float:
    """Record, write and check; until the file is right, what has its name stays as it is."""
    program, out = export_program(network, size, options.dynamic_size), Path(options.out).resolve()
    writer = write_onnx if out.suffix == '.onnx' else write_program
    other = tuple(side + told.size_divisor for side in size)
    sizes: list[Any] = [size, other] if options.dynamic_size else [size]
    with TemporaryDirectory(prefix='.export_', dir=out.parent) as folder:
        part = Path(folder, out.name)
        try:
            writer(program, told, part)
            difference = check_file(network, part, sizes)
        except ExportError as error:
            raise ExportError(str(error).replace(str(part), options.out)) from error
        part.replace(out)
    return difference


def find_size(cfg: Config, model: Any) -> tuple[int, int]:
    """(H, W) of the images that a model sees in a test, as far as config and checkpoint tell.

    Raises:
        ExportError: if nothing tells it.
    """
    test_cfg, preprocessor = getattr(model, 'test_cfg', None) or {}, model.data_preprocessor
    candidates = (
        test_cfg.get('crop_size') if test_cfg.get('mode') == 'slide' else None,
        size_after(pipeline_of(cfg.get('test_dataloader'))),
        getattr(preprocessor, 'training_size', None),
        getattr(preprocessor, 'size', None),
        size_after(pipeline_of(cfg.get('train_dataloader'))),
    )
    found = next((size for size in candidates if size is not None), None)
    if found is None:
        raise ExportError('the config does not tell the size of its images; give it by --size H W')
    return int(found[0]), int(found[1])


def size_after(steps: Sequence[dict]) -> tuple[int, int] | None:
    """(H, W) of every image after a pipeline; None where they differ or the pipeline does not tell."""
    size = None
    for step in steps:
        name = type_name(step)
        if name == 'Resize':
            size = None if step.get('keep_ratio') else pair_of(step.get('scale'), width_first=True)
        elif name == 'ResizeEdge':
            size = None
        elif 'Crop' in name:
            size = pair_of(step.get('crop_size', step.get('scale')), width_first=name == 'CenterCrop')
    return size


def pair_of(size: Any, width_first: bool) -> tuple[int, int] | None:
    """(H, W) of a number or a pair; None for anything else."""
    sides = [size, size] if isinstance(size, int) else list(size or ())
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        return None
    return (sides[1], sides[0]) if width_first else (sides[0], sides[1])


def check_divisor(size: tuple[int, int], divisor: int) -> None:
    """Raise an ExportError for a size that the network's data preprocessor would pad."""
    if any(side % divisor for side in size):
        height, width = (-(-side // divisor) * divisor for side in size)
        raise ExportError(
            f'the sides of {size[0]} x {size[1]} are no multiples of {divisor}, to which the data preprocessor pads; '
            f'give --size {height} {width}, and pad the images on their right and at their bottom'
        )


def check_view_sizes(policy: ViewPolicy | None, size: tuple[int, int], divisor: int) -> None:
    """Raise an ExportError for views that the network's data preprocessor would pad."""
    for view in () if policy is None else policy.views:
        height, width = view.resized(size)
        if height % divisor or width % divisor:
            raise ExportError(
                f'the view {str(view)!r} of {size[0]} x {size[1]} is {height} x {width}, no multiples of {divisor}, to '
                'which the data preprocessor pads; give another --size H W, or a policy without views of other sizes'
            )


def test_steps(cfg: Config) -> tuple[dict, ...]:
    """The steps of the test's pipeline as plain data."""
    return tuple(as_plain(dict(step)) for step in pipeline_of(cfg.get('test_dataloader')))


def as_plain(value: Any) -> Any:
    """A value of a config as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): as_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
