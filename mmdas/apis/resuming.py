"""What a run takes up from an earlier one in its work directory, or must not write over."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmdas.augment.policy_augment import is_absent, read_policy
from mmdas.engine.checkpoints import has_checkpoints, newest_checkpoint
from mmdas.engine.hooks.keep_policy_hook import KeepPolicyHook, augmentation_file, holds, holds_augmentation
from mmdas.registry import type_name
from mmdas.search.das import Policy

from .config_files import require_checkpoint
from .das_settings import preprocessor_of


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
        if kept.is_file() and not is_absent(augmentation):
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
