"""What every training and search gets so that a week of it is not lost."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmdas.engine.checkpoints import read_checkpoint
from mmdas.registry import type_name

from .config_files import iterate_dicts

# MMEngine's component -> the one that stands in for it.
CHECKPOINTS = {'CheckpointHook': 'mmdas.AtomicCheckpointHook'}
LOOPS = {
    'EpochBasedTrainLoop': 'mmdas.ResumableEpochBasedTrainLoop',
    'IterBasedTrainLoop': 'mmdas.ResumableIterBasedTrainLoop',
}
HOOKS = ('mmdas.FiniteLossHook', 'mmdas.StopSignalHook')
# Seconds after which the processes of a distributed run give up waiting for one of them.
TIMEOUT = 600
LONGEST_TIMEOUT = 10**7


def make_reliable(cfg: Config) -> None:
    """Let a run save whole checkpoints, resume exactly, end at numbers that are not finite, and heed signals.

    Components that are not MMEngine's own stay as they are.

    Args:
        cfg: of the run; changed.

    Raises:
        CheckpointError: if a checkpoint file that the config loads is damaged, or more than data.
    """
    for path in local_checkpoints(cfg):
        read_checkpoint(path)
    if cfg.get('launcher', 'none') != 'none':
        set_timeout(cfg)
    if not cfg.get('train_cfg'):
        return
    hooks = dict(cfg.get('default_hooks') or {})
    checkpoint = hooks.get('checkpoint', {'type': 'CheckpointHook', 'interval': 1})
    if checkpoint is not None and type_name(checkpoint) in CHECKPOINTS:
        hooks['checkpoint'] = {**checkpoint, 'type': CHECKPOINTS[type_name(checkpoint)]}
    cfg.default_hooks = hooks
    for hook in HOOKS:
        add_hook(cfg, hook)
    set_stopping_first(cfg)
    set_loop(cfg)


def check_work_dir(folder: str | Path) -> None:
    """Make the folder of a run, and check that files can be written there.

    Raises:
        ValueError: if not, before anything is built.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix='.', suffix='.part') as stream:
            stream.write(b'0')
    except OSError as error:
        raise ValueError(
            f'nothing can be written to the work dir {folder}: {error.strerror or error}; give another --work-dir'
        ) from error


def add_hook(cfg: Config, kind: str) -> None:
    """Add a hook to those of a config, unless there is one of its type."""
    hooks = list(cfg.get('custom_hooks') or [])
    if not any(type_name(hook) == type_name({'type': kind}) for hook in hooks):
        cfg.custom_hooks = [*hooks, {'type': kind}]


def set_stopping_first(cfg: Config) -> None:
    """Let early stopping count before the checkpoint of a best validation is written, which holds the count."""
    hooks = [dict(hook) if isinstance(hook, dict) else hook for hook in cfg.get('custom_hooks') or []]
    for hook in hooks:
        if type_name(hook) == 'EarlyStoppingHook':
            hook.setdefault('priority', 'LOW')
    cfg.custom_hooks = hooks


def set_loop(cfg: Config) -> None:
    """Take the loop that resumes exactly in the place of MMEngine's."""
    loop = dict(cfg.train_cfg)
    by_epoch = loop.pop('by_epoch', True) if 'type' not in loop else None
    kind = type_name(loop) or ('EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop')
    if kind in LOOPS:
        cfg.train_cfg = {**loop, 'type': LOOPS[kind]}


def set_timeout(cfg: Config) -> None:
    """Let processes wait for each other for a limited time, and say for how long.

    Raises:
        ValueError: for a timeout that is no number of seconds.
    """
    check_timeout(cfg)
    environment = dict(cfg.get('env_cfg') or {})
    settings: dict[str, Any] = {'backend': 'nccl', **(environment.get('dist_cfg') or {})}
    if settings.get('timeout') is None:
        settings['timeout'] = TIMEOUT
    cfg.env_cfg = {**environment, 'dist_cfg': settings}
    print_log(
        f'processes wait for each other for {settings["timeout"]} s at most (env_cfg.dist_cfg.timeout)', 'current'
    )


def check_timeout(cfg: Config) -> None:
    """Check for how long the processes of a distributed run wait for each other, where the config says it.

    Raises:
        ValueError: for a timeout that is no number of seconds.
    """
    seconds = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout')
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST_TIMEOUT:
        raise ValueError(
            f'env_cfg.dist_cfg.timeout is {seconds!r}, expected seconds, more than 0 and at most {LONGEST_TIMEOUT}'
        )


def explain_lost_process(error: Exception, cfg: Config) -> str | None:
    """What to do where another process of a distributed run hangs or has ended; None for any other error.

    Args:
        error: that the run ended with.
        cfg: of the run.
    """
    if not isinstance(error, RuntimeError):
        return None
    text = str(error).lower()
    if 'timed out' in text or 'timeout' in text:
        seconds = cfg.env_cfg.dist_cfg.timeout
        reason = f'another process did not answer for {seconds} s (env_cfg.dist_cfg.timeout)'
    elif 'connection closed by peer' in text or 'connection reset by peer' in text:
        reason = 'another process has ended'
    else:
        return None
    return f'{reason}: {" ".join(str(error).split())}; see its log, and go on by --resume'


def local_checkpoints(cfg: Config) -> list[str]:
    """Files that the config lets the model start from."""
    named = [cfg.get('load_from')]
    named += [node['checkpoint'] for _, node in iterate_dicts(dict(cfg.items())) if type_name(node) == 'Pretrained']
    return [path for path in named if isinstance(path, str) and '://' not in path]
