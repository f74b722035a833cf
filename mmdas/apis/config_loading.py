"""From a config file and options to the config of a run."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.noise import silence_warnings

from .augment_search import AUGMENT_SEARCHES, convert_augment_search, is_search_method
from .config_files import ABSENT, find_config, import_custom_modules, read_config, value_at
from .config_options import check_options
from .das_config import convert
from .das_options import DASOptions
from .das_settings import check_preprocessors
from .early_warnings import collect_warnings
from .training_length import check_length_unit

# Options that stay those of the run, whatever the conversion makes of the host's.
OF_THE_RUN = ('work_dir', 'experiment_name', 'load_from', 'resume')
# Options of what the conversion puts around parts of the host.
OF_THE_WRAPPERS = (
    *('num_frames', 'fusion', 'stages', 'pooling', 'index', 'accept_difference', 'any_frames'),  # backbone and heads
    'part_after',
    *('cell', 'policy', 'max_value', 'channel_order', 'augments', 'frame_dropout', 'used_frames'),  # data preprocessor
    *('part', 'ratio', 'seed', 'constructor', 'weights'),  # data set and optimisers of a search
)
# Keys of how long a loop is.
LENGTHS = ('train_cfg.max_iters', 'train_cfg.max_epochs')


def load_config(
    path: str | Path,
    work_dir: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    launcher: str = 'none',
    local_rank: int = 0,
    das: str | None = None,
    options: DASOptions | None = None,
) -> Config:
    """Read a config and put the options of the command line into it.

    Args:
        path: The config file, or the name of an installed config.
        work_dir: Folder of the run. Default: the config's ``work_dir``, else ``work_dirs/<name of the config>``.
        cfg_options: Settings that replace the config's, with dotted keys.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        local_rank: Rank on this machine, where the launcher gives it as an option and not as ``LOCAL_RANK``.
        das: Method that a plain config is converted to first: 'repeat', 'search', 'das', or a key of
            ``AUGMENT_SEARCHES``. Default: none.
        options: Of the conversion.

    Returns:
        The config, with ``work_dir`` and ``launcher`` set.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for an option, or a second data preprocessor, that nothing would read, a length that is not in the
            unit of its loop, or a module of ``custom_imports`` that cannot be imported.
        ConversionError: if the config cannot be converted.
    """
    silence_warnings()
    collect_warnings()
    cfg = read_config(find_config(path)[0])
    given = dict(cfg_options or {})
    if das is not None:
        cfg, given = convert_with(given, cfg, das, options or DASOptions())
    merge_options(cfg, given)
    import_custom_modules(cfg)
    check_preprocessors(cfg)
    check_length_unit(cfg)
    cfg.launcher = launcher
    if launcher != 'none':
        os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(cfg.filename).stem))
    return cfg


def convert_with(given: dict[str, Any], cfg: Config, das: str, options: DASOptions) -> tuple[Config, dict[str, Any]]:
    """Convert a plain config with the options of the command line.

    What the plain config has is changed in it, so that all that the conversion makes of it follows. The loop of a
    search is another one than the host's: its length is that of the conversion, and its other options wait.

    Returns:
        The config of DAS, and the options that are still to be put into it.
    """
    given = dict(given)
    if is_search_method(das):
        for key in LENGTHS:
            if key in given:
                options = replace(options, search_length=given.pop(key))
    of_host = {key: value for key, value in given.items() if is_of_host(cfg, key, das)}
    merge_options(cfg, of_host)
    made = convert_augment_search(cfg, das, options) if das in AUGMENT_SEARCHES else convert(cfg, das, options)
    return made, {key: value for key, value in given.items() if key not in of_host}


def is_of_host(cfg: Config, key: str, das: str) -> bool:
    """Whether an option is one of the plain config: its key is there, or new beside others that are."""
    if key in OF_THE_RUN or (is_search_method(das) and key.startswith('train_cfg.')):
        return False
    parent, _, name = key.rpartition('.')
    return has_key(cfg, key) or (bool(parent) and has_key(cfg, parent) and name not in OF_THE_WRAPPERS)


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Put options of the command line into a config.

    Raises:
        ValueError: for an option that nothing would read, or that cannot be put there.
    """
    check_options(cfg, options)
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f'{key}={value!r} cannot be put into the config: {error}') from error


def has_key(cfg: Config, key: str) -> bool:
    """Whether a config has a dotted key."""
    return value_at(dict(cfg.items()), key) is not ABSENT
