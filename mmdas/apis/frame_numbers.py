"""The number of frames that each part of a model says is one number."""

from pathlib import Path

from mmengine.config import Config

from mmdas.hosts import all_hosts
from mmdas.registry import type_name
from mmdas.search.das import Policy

from .clip_config import owns_clip_step
from .config_files import host_of, iterate_dicts
from .das_settings import check_any_frames, parts_with_frames, preprocessor_of, preprocessor_place, takes_frames


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
