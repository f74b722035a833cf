"""What the tools share: from a config file to a runner."""

from .add_das import add_das, find_config
from .das_config import FUSIONS, SELECTIONS, ConversionError, DASOptions, Host, das_configs
from .das_settings import accept_differences, preprocessor_of, preprocessor_place, set_policy
from .inference import Inferencer
from .runner import (
    adapt_to_device,
    add_run_arguments,
    apply_run_arguments,
    build_runner,
    check_num_frames,
    enable_amp,
    end_processes,
    iterate_dicts,
    load_config,
    require_checkpoint,
    set_resume,
)

__all__ = [
    'FUSIONS',
    'SELECTIONS',
    'ConversionError',
    'DASOptions',
    'Host',
    'Inferencer',
    'add_das',
    'das_configs',
    'accept_differences',
    'adapt_to_device',
    'add_run_arguments',
    'apply_run_arguments',
    'build_runner',
    'check_num_frames',
    'enable_amp',
    'end_processes',
    'find_config',
    'iterate_dicts',
    'load_config',
    'preprocessor_of',
    'preprocessor_place',
    'require_checkpoint',
    'set_policy',
    'set_resume',
]
