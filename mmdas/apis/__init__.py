"""What the commands share: from a config to a runner."""

from .add_das import add_das, check_conversion
from .augment_config import set_augment
from .augment_search import AUGMENT_SEARCHES, convert_augment_search, is_search_method
from .augment_words import NAMED, WORDS, fixed_policy, training_size
from .comparison_config import hold_out_validation
from .complexity import Complexity, measure_complexity
from .config_files import (
    did_you_mean,
    find_config,
    host_of,
    import_custom_modules,
    iterate_dicts,
    read_config,
    require_checkpoint,
)
from .config_loading import load_config
from .config_slips import find_slips, warn_of_slips
from .das_config import METHODS, convert
from .das_options import FUSIONS, SELECTIONS, ConversionError, DASOptions
from .das_settings import (
    accept_differences,
    is_search,
    preprocessor_of,
    preprocessor_place,
    set_policy,
    set_used_frames,
)
from .das_text import das_configs
from .device import adapt_to_device, check_precision, enable_amp
from .distill_config import DistillOptions, set_distillation, set_self_distillation
from .fast_search import set_fast, take_up_earlier
from .frame_numbers import check_num_frames
from .inference import Inferencer
from .regularize_config import REGULARIZERS, set_regularizers
from .reliable_run import check_work_dir, explain_lost_process
from .resuming import check_kept_policy, set_resume
from .runner import build_runner, check_run, end_processes
from .search_budget import fit_to_budget
from .search_length import short_search
from .step_time import TrainingTime, measure_training
from .toolbox_faults import KnownFault, known_faults
from .training_length import set_training_length, training_length
from .view_policy import is_view_policy, use_views
from .view_search import FoundViews, ViewSearchOptions, search_views

__all__ = [
    'AUGMENT_SEARCHES',
    'FUSIONS',
    'METHODS',
    'REGULARIZERS',
    'NAMED',
    'SELECTIONS',
    'Complexity',
    'ConversionError',
    'DASOptions',
    'FoundViews',
    'DistillOptions',
    'Inferencer',
    'KnownFault',
    'TrainingTime',
    'ViewSearchOptions',
    'WORDS',
    'add_das',
    'check_conversion',
    'check_kept_policy',
    'convert',
    'convert_augment_search',
    'fit_to_budget',
    'fixed_policy',
    'set_augment',
    'set_distillation',
    'set_fast',
    'das_configs',
    'did_you_mean',
    'accept_differences',
    'adapt_to_device',
    'build_runner',
    'check_num_frames',
    'check_run',
    'check_work_dir',
    'check_precision',
    'enable_amp',
    'end_processes',
    'explain_lost_process',
    'find_config',
    'find_slips',
    'hold_out_validation',
    'host_of',
    'import_custom_modules',
    'is_view_policy',
    'known_faults',
    'iterate_dicts',
    'load_config',
    'measure_complexity',
    'measure_training',
    'is_search',
    'is_search_method',
    'preprocessor_of',
    'preprocessor_place',
    'read_config',
    'require_checkpoint',
    'search_views',
    'set_policy',
    'set_regularizers',
    'set_resume',
    'set_self_distillation',
    'set_training_length',
    'set_used_frames',
    'short_search',
    'take_up_earlier',
    'training_length',
    'training_size',
    'use_views',
    'warn_of_slips',
]
