"""A trained model as a file that runs without its toolbox: ONNX, or a program of ``torch.export``."""

from .check import check_file
from .description import Description
from .error import ExportError
from .exported import ExportedModel
from .graph import export_program, write_onnx, write_program
from .maps import ReferenceMaps
from .network import OUTPUTS, DeployableNetwork
from .windows import slide, windows

__all__ = [
    'OUTPUTS',
    'DeployableNetwork',
    'Description',
    'ExportError',
    'ExportedModel',
    'ReferenceMaps',
    'check_file',
    'export_program',
    'slide',
    'windows',
    'write_onnx',
    'write_program',
]
