"""From a config file to a runner: what training, searching and testing share.

The order is ``load_config``, then what the command line asks for (``set_resume``, ``enable_amp``), then
``build_runner``, which checks the config and fits it to the machine before anything is built.
"""

import gc
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger, print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmdas.augment.policy_augment import read_policy
from mmdas.engine.checkpoints import has_checkpoints, newest_checkpoint
from mmdas.engine.hooks.keep_policy_hook import KeepPolicyHook, augmentation_file, holds, holds_augmentation
from mmdas.hosts import all_hosts
from mmdas.noise import import_toolbox, silence_log, silence_warnings
from mmdas.registry import type_name
from mmdas.search.das import Policy

from .augment_search import AUGMENT_SEARCHES, convert_augment_search
from .clip_config import owns_clip_step, prepare_clips
from .config_files import (
    find_config,
    host_of,
    import_custom_modules,
    iterate_dicts,
    read_config,
    require_checkpoint,
)
from .config_options import check_options
from .das_config import convert
from .das_options import DASOptions
from .das_settings import (
    check_any_frames,
    check_operations,
    check_preprocessors,
    parts_with_frames,
    preprocessor_of,
    preprocessor_place,
    takes_frames,
)
from .early_warnings import collect_warnings, stop, tell_again
from .reliable_run import add_hook, check_timeout, make_reliable

# Devices that MMEngine's AmpOptimWrapper and its `init_dist` refuse and that synchronised batch norm fails on.
PLAIN_DEVICES = ('cpu', 'mps')
DATA_CHECKS = ('mmdas.DataFilesHook', 'mmdas.LabelCheckHook')
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
CHECKPOINT_HOOKS = ('mmdas.ResumeCheckHook', 'mmdas.PlainStartHook', 'mmdas.KeepPolicyHook')
# The two parts of the optimiser wrapper of a search, each a wrapper of its own.
SEARCH_PARTS = ('weights', 'policy')
# Names of synchronised batch norm, in the registry of mmcv and as a class of PyTorch.
SYNC_NORMS = ('SyncBN', 'SyncBatchNorm', 'MMSyncBN')


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
        ValueError: for an option, or a second data preprocessor, that nothing would read, or a module of
            ``custom_imports`` that cannot be imported.
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
    searches = das == 'search' or das in AUGMENT_SEARCHES
    if searches:
        for key in LENGTHS:
            if key in given:
                options = replace(options, search_length=given.pop(key))
    of_host = {key: value for key, value in given.items() if is_of_host(cfg, key, das)}
    merge_options(cfg, of_host)
    made = convert_augment_search(cfg, das, options) if das in AUGMENT_SEARCHES else convert(cfg, das, options)
    return made, {key: value for key, value in given.items() if key not in of_host}


def is_of_host(cfg: Config, key: str, das: str) -> bool:
    """Whether an option is one of the plain config: its key is there, or new beside others that are."""
    searches = das == 'search' or das in AUGMENT_SEARCHES
    if key in OF_THE_RUN or (searches and key.startswith('train_cfg.')):
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
    node: Any = cfg
    for part in key.split('.'):
        if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif hasattr(node, 'get') and part in node:
            node = node[part]
        else:
            return False
    return True


def set_resume(cfg: Config, resume: str | None) -> None:
    """Let the run go on from a checkpoint, in the order of the data that it began with.

    Args:
        cfg: Config with ``work_dir``.
        resume: 'auto' for the newest checkpoint in ``work_dir`` that can be read (a run without one starts as the
            config says, with its ``load_from``), the path of a checkpoint, or None to leave the config as it is.

    Raises:
        FileNotFoundError: If there is no file at the path.
        CheckpointError: If it cannot be read, or none of those in ``work_dir`` can.
    """
    saving = (cfg.get('default_hooks') or {}).get('checkpoint')
    if resume is None and cfg.get('resume'):
        cfg.resume, resume = False, cfg.get('load_from') or 'auto'
    if resume is None:
        if has_checkpoints(cfg.work_dir, saving) and cfg.get('train_cfg'):
            print_log(
                f'{cfg.work_dir} holds checkpoints of an earlier run, which this one will overwrite as it goes; '
                '--resume goes on from the newest of them, another --work-dir keeps them',
                'current',
                logging.WARNING,
            )
        return
    if resume == 'auto':
        found = newest_checkpoint(cfg.work_dir, saving)
        if found is None:
            text = f'nothing to resume in {cfg.work_dir}, the run starts from the beginning'
            print_log(text, 'current', logging.WARNING)
            return
        resume, content = str(found[0]), found[1]
    else:
        content = require_checkpoint(resume)
    print_log(f'resume from {resume}', 'current')
    cfg.resume, cfg.load_from = True, resume
    seed = (content.get('meta') or {}).get('seed')
    randomness = dict(cfg.get('randomness') or {})
    if isinstance(seed, int) and randomness.get('seed') is None:
        cfg.randomness = {**randomness, 'seed': seed}


def check_kept_policy(cfg: Config) -> None:
    """Check that a training with a policy does not write over one with another policy.

    Policies of frames as of augmentation count.

    Args:
        cfg: of a training that does not resume, with ``work_dir``.

    Raises:
        ValueError: if the work directory holds checkpoints and another policy than the config names.
    """
    folder = Path(cfg.work_dir)
    if not has_checkpoints(folder):
        return
    policy, kept = preprocessor_of(cfg).get('policy'), folder / KeepPolicyHook.FILENAME
    if isinstance(policy, (str, Path)) and Path(policy).is_file() and kept.is_file():
        refuse_another(folder, policy, kept, same=holds(kept, Policy.load(policy)))
    steps = preprocessor_of(cfg).get('augments') or ()
    augmentations = [policy for policy in map(augmentation_of, steps) if policy is not None]
    for number, augmentation in enumerate(augmentations):
        kept = folder / augmentation_file(number)
        if kept.is_file() and (isinstance(augmentation, Mapping) or Path(augmentation).is_file()):
            name = 'that of this training' if isinstance(augmentation, Mapping) else augmentation
            refuse_another(folder, name, kept, same=holds_augmentation(kept, read_policy(augmentation)))


def augmentation_of(step: Mapping) -> Any:
    """The augmentation policy, or its file, that the config of an augment names; None for one without."""
    policy = step.get('policy')
    if type_name(step) == 'KeepPaste' and isinstance(policy, Mapping) and 'type' in policy:
        return augmentation_of(policy)
    return policy if type_name(step) in ('PolicyAugment', 'KeepPaste') else None


def refuse_another(folder: Path, policy: str | Path, kept: Path, same: bool) -> None:
    """Raise a ValueError unless a training's policy is the same as that which its work directory keeps."""
    if not same:
        raise ValueError(
            f'{folder} holds a training with another policy ({kept}) than {policy}; train in another folder by '
            '--work-dir DIR, or write over it by --work-dir of that folder'
        )


def enable_amp(cfg: Config) -> None:
    """Train with automatic mixed precision; in a search, weights and policy logits both.

    Raises:
        RuntimeError: If this machine has no GPU-like device.
        ValueError: If an optimiser wrapper of the config is of a type that has no mixed-precision twin.
    """
    device = get_device()
    if device in PLAIN_DEVICES:
        raise RuntimeError(
            f'--amp needs a GPU, this run would be on the device "{device}"; leave --amp away, '
            'or see what `python tools/check_env.py` says of your GPU'
        )
    wrapper = cfg.optim_wrapper
    for part in [wrapper[name] for name in SEARCH_PARTS if name in wrapper] or [wrapper]:
        kind = type_name(part) or 'OptimWrapper'
        if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ValueError(f'--amp goes with optim_wrapper.type "OptimWrapper", the config has "{kind}"')
        part['type'] = 'AmpOptimWrapper'
        part.setdefault('loss_scale', 'dynamic')


def check_precision(cfg: Config) -> None:
    """Check that a training in mixed precision has the GPU that MMEngine's optimiser wrapper asks for.

    Raises:
        ValueError: with the place of the wrapper and the remedy.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    parts = {f'optim_wrapper.{name}': wrapper[name] for name in SEARCH_PARTS if name in wrapper}
    for place, part in (parts or {'optim_wrapper': wrapper}).items():
        if type_name(part) == 'AmpOptimWrapper' and get_device() in PLAIN_DEVICES:
            raise ValueError(
                f'{place}.type is AmpOptimWrapper, which needs a GPU, and this run would be on the device '
                f'"{get_device()}"; set {place}.type to OptimWrapper, without its loss_scale and dtype'
            )


def check_num_frames(cfg: Config) -> None:
    """Check that all parts of the model, and the policy, agree on the number of frames T.

    Raises:
        ValueError: If two of them differ.
        FileNotFoundError: If the policy that the config names does not exist and no checkpoint is to be loaded.
    """
    found = find_num_frames(cfg)
    check_parts(cfg, found)
    check_any_frames(cfg)
    if len(set(found.values())) > 1:
        raise ValueError(
            ', '.join(f'{place} is {frames}' for place, frames in found.items())
            + '; set all from one variable, and use a policy that was searched with that number'
        )


def check_parts(cfg: Config, found: dict[str, int]) -> None:
    """Tell which part of a model with frames is still a plain one, or lacks its number of frames.

    Raises:
        ValueError: naming the part.
    """
    if max(found.values(), default=1) == 1:
        return
    model = cfg.model.get('module', cfg.model)
    own, host = preprocessor_of(cfg), host_of(cfg)
    if any(owns_clip_step(other, own) for other in all_hosts()):
        if host.clip_preprocessor and not owns_clip_step(host, own):
            raise ValueError(
                f'{preprocessor_place(cfg)} is {type_name(own)}, but the config is one of {host.scope}; use '
                f'{host.clip_preprocessor}'
            )
        if 'num_frames' not in own:
            raise ValueError(
                f'{preprocessor_place(cfg)}.num_frames is missing, while '
                + ', '.join(f'{place} is {frames}' for place, frames in found.items() if frames > 1)
            )
    for place, part in parts_with_frames(model).items():
        if not takes_frames(part) and 'num_frames' not in part:
            wrapper = 'mmdas.FrameFusionBackbone' if place == 'backbone' else host.pooled_head
            raise ValueError(
                f'{place} is a plain {type_name(part)}, which takes frames for images; wrap it in {wrapper}, or '
                'let --das convert a plain config'
            )


def find_num_frames(cfg: Config) -> dict[str, int]:
    """Find every place that says the number of frames: {place: number}, empty for a plain 2-D model."""
    model = dict(cfg.model.get('module', cfg.model))  # `module`: wrapped for test-time augmentation
    if cfg.get('data_preprocessor') is not None:  # where MMPretrain's base configs have it; the runner moves it
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    found = {}
    for path, node in iterate_dicts(model):
        if 'num_frames' in node:
            found[f'{path}.num_frames'.lstrip('.')] = node['num_frames']
    policy = (model.get('data_preprocessor') or {}).get('policy')
    if isinstance(policy, (str, Path)) and not waits_for_checkpoint(cfg, policy):
        found[f'num_frames of data_preprocessor.policy ({policy})'] = Policy.load(policy).num_frames
    if found:  # what says nothing knows of one frame: a plain head would take frames for images
        for place, part in {'data_preprocessor': {}, **parts_with_frames(model)}.items():
            if not takes_frames(part):  # which take it from what comes
                found.setdefault(f'{place}.num_frames', 1)
    if found and 'num_frames' in cfg:
        found['num_frames at the top of the config'] = cfg.num_frames
    return found


def waits_for_checkpoint(cfg: Config, policy: str | Path) -> bool:
    """Whether a policy file is absent and the checkpoint that is to be loaded may hold the policy.

    Raises:
        FileNotFoundError: If the file is absent and there is no checkpoint to load.
    """
    if Path(policy).is_file():
        return False
    if not cfg.get('load_from'):
        raise FileNotFoundError(
            f'no policy at {policy}; run its search first, or name a policy by --policy FILE '
            f'({preprocessor_place(cfg)}.policy of the config)'
        )
    return True


def adapt_to_device(cfg: Config) -> None:
    """Fit the config to a machine without GPU; on one with a GPU nothing is changed.

    Synchronised batch norm becomes batch norm (PyTorch has it for GPUs only), and processes talk over gloo.
    """
    if get_device() not in PLAIN_DEVICES:
        return
    norms = [node for _, node in iterate_dicts(cfg.model) if type_name(node) in SYNC_NORMS]
    for norm in norms:
        norm['type'] = 'BN'
    if norms or cfg.get('sync_bn'):
        cfg.sync_bn = None
        print_log(f'no GPU: SyncBN became BN in {len(norms)} places of the model', logger='current')
    if cfg.get('launcher', 'none') != 'none':
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        # MMEngine's default wrapper names a device number, which PyTorch refuses for a model on the CPU.
        cfg.model_wrapper_cfg = {
            'type': 'MMDistributedDataParallel',
            'broadcast_buffers': False,
            'find_unused_parameters': cfg.get('find_unused_parameters', False),
            'device_ids': None,
            **(cfg.get('model_wrapper_cfg') or {}),
        }


def add_data_checks(cfg: Config) -> None:
    """Let every run stop with a clear message at a broken file and at a label that no class stands for."""
    for hook in DATA_CHECKS:
        add_hook(cfg, hook)


def add_checkpoint_hooks(cfg: Config) -> None:
    """Let every run resume only its own model's checkpoints, and keep its policy beside them."""
    for hook in CHECKPOINT_HOOKS:
        add_hook(cfg, hook)


def add_augment_hook(cfg: Config) -> None:
    """Let augments know the model, where the config has some."""
    if preprocessor_of(cfg).get('augments'):
        add_hook(cfg, 'mmdas.AugmentHook')


def set_dataloader_defaults(cfg: Config) -> None:
    """Give data loaders what the toolbox's own tools add to them and its configs leave out."""
    host = host_of(cfg)
    for path, node in iterate_dicts(dict(cfg.items())):
        if path.endswith('dataloader') and 'dataset' in node:
            for key, value in host.loader_defaults(node, get_device()).items():
                node.setdefault(key, value)


def init_cpu_processes(cfg: Config) -> None:
    """Join the processes of a distributed run on machines without GPU.

    MMEngine would do it, but its ``init_dist`` selects a GPU first.

    Raises:
        ValueError: If the launcher is not 'pytorch'.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or get_device() not in PLAIN_DEVICES or is_distributed():
        return
    if launcher != 'pytorch':
        raise ValueError(f'--launcher {launcher} needs GPUs; without them use --launcher pytorch (tools/dist_train.sh)')
    torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=cfg.env_cfg.dist_cfg.timeout))


def end_processes() -> None:
    """Leave the distributed run that ``build_runner`` joined: after its last step, on every process.

    Does nothing where the run is not distributed. Let go of the runner and the model before.
    """
    if not is_distributed():
        return
    # Gloo's threads end with their process group, which lives as long as the wrapped model: runner and model refer to
    # each other and wait for the garbage collector. A thread that still runs when Python ends can abort the process,
    # and the launcher then stops the others, maybe in the middle of their last checkpoint.
    gc.collect()
    torch.distributed.destroy_process_group()


def check_run(cfg: Config) -> None:
    """Check a config before anything is built.

    Raises:
        ValueError: If the parts of the model disagree on the number of frames, a second data preprocessor says
            something else of the clip, an operation is not known, or processes are to wait for each other for no time.
        FileNotFoundError: If the policy that the config names does not exist and no checkpoint is to be loaded.
    """
    check_preprocessors(cfg)
    check_operations(cfg)
    check_num_frames(cfg)
    check_timeout(cfg)


def build_runner(cfg: Config) -> Runner:
    """Check the config, fit it to this machine and build its runner.

    Args:
        cfg: Config of a training, a search or a test of either toolbox; changed where the machine demands it.

    Returns:
        The runner, of the type ``runner_type`` where the config names one.

    Raises:
        as :func:`check_run`.
    """
    check_run(cfg)
    prepare_clips(cfg, preprocessor_of(cfg))
    add_data_checks(cfg)
    add_checkpoint_hooks(cfg)
    make_reliable(cfg)
    add_augment_hook(cfg)
    adapt_to_device(cfg)
    set_dataloader_defaults(cfg)
    init_cpu_processes(cfg)
    import_toolbox(host_of(cfg).scope)
    early = stop(MMLogger.get_current_instance())
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    silence_log(runner.logger)
    tell_again(early, runner.logger)
    return runner
