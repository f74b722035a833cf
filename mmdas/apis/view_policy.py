"""A policy of test time in a config: the model looks at several views of every image."""

from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmdas.models.data_preprocessors.pixel_values import converted_order
from mmdas.search.policy_file import kind_of, read_json
from mmdas.search.test_time import ViewPolicy
from mmdas.search.test_time.policy import KIND

from .clip_config import pipeline_of, reads_files
from .config_files import host_of
from .das_settings import preprocessor_of


def is_view_policy(policy: str | Path | None) -> bool:
    """Whether a file is a policy of test time; not if there is none.

    Raises:
        PolicyError: if it cannot be read.
    """
    return policy is not None and Path(policy).is_file() and kind_of(read_json(policy)) == KIND


def use_views(cfg: Config, policy: str | Path | None) -> None:
    """Let the model of a config look at several views of an image. Take this step last.

    Args:
        cfg: of a test; changed.
        policy: file of a policy of test time; None: the image alone, until another is given to the model.

    Raises:
        FileNotFoundError: if there is no such file.
        PolicyError: if it is no policy of test time.
        ValueError: if the toolbox has no model for it, or the config one that is wrapped already.
    """
    host = host_of(cfg)
    if not host.view_model:
        raise ValueError(f'there are no views at test time for models of {host.scope}; test without --policy')
    if 'module' in cfg.model:
        raise ValueError(
            f'the model of the config is wrapped by {cfg.model.get("type")} already; give the config of the model '
            'alone, without --tta'
        )
    if policy is not None:
        ViewPolicy.load(policy)
    preprocessor: Any = preprocessor_of(cfg)
    # The runner hands the top-level data preprocessor to the wrapper, which puts it in the place of the model's own.
    if cfg.model.get('data_preprocessor') is not None:
        cfg.data_preprocessor = cfg.model.data_preprocessor
    options = {} if policy is None else {'policy': str(policy)}
    order = channel_order(cfg, preprocessor)
    cfg.model = ConfigDict(type=host.view_model, module=cfg.model, channel_order=order, **options)


def channel_order(cfg: Config, preprocessor: dict) -> str:
    """Order of the colours that the network takes."""
    told = preprocessor.get('channel_order') or converted_order(preprocessor)
    if told is not None:
        return told
    steps = pipeline_of(cfg.get('test_dataloader')) or pipeline_of(cfg.get('val_dataloader'))
    return 'rgb' if host_of(cfg).holds_pixels and not reads_files(steps) else 'bgr'
