"""From a loaded config to a runner: what training, searching and testing share.

The order is ``load_config``, then what the command line asks for (``set_resume``, ``enable_amp``), then
``build_runner``, which checks the config and fits it to the machine before anything is built.
"""

import gc
from datetime import timedelta
from itertools import count

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmdas.noise import import_toolbox, silence_log

from .clip_config import prepare_clips
from .config_files import host_of, iterate_dicts
from .das_settings import check_operations, check_preprocessors, preprocessor_of
from .device import PLAIN_DEVICES, adapt_to_device
from .early_warnings import stop, tell_again
from .frame_numbers import check_num_frames
from .reliable_run import add_hook, check_timeout, make_reliable

DATA_CHECKS = ('mmdas.DataFilesHook', 'mmdas.LabelCheckHook')
CHECKPOINT_HOOKS = ('mmdas.ResumeCheckHook', 'mmdas.PlainStartHook', 'mmdas.KeepPolicyHook')


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


def name_visualizer(cfg: Config) -> None:
    """Let a run write its curves to its own work directory, whatever the process has done before.

    MMEngine gives a run the visualizer of its name that is there already, of an earlier run or an inferencer, with the
    backends and the folder of that one. So a name that is taken gets a number.
    """
    settings = cfg.get('visualizer')
    name = settings.get('name') if isinstance(settings, dict) else None
    if name is None:
        return
    names = (f'{name}-{number}' if number > 1 else name for number in count(1))
    settings['name'] = next(free for free in names if not Visualizer.check_instance_created(free))


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
    name_visualizer(cfg)
    init_cpu_processes(cfg)
    import_toolbox(host_of(cfg).scope)
    early = stop(MMLogger.get_current_instance())
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    silence_log(runner.logger)
    tell_again(early, runner.logger)
    return runner
