"""A teacher from its config and its checkpoint."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.utils import import_modules_from_strings
from torch import nn

from mmdas.engine.checkpoints import read_checkpoint
from mmdas.engine.hooks.resume_check_hook import has_frames, refuse_frames
from mmdas.models.distillation import DistillationError
from mmdas.models.settings import DifferenceError

from .checksum import checksum


def load_teacher(config: str | Path, checkpoint: str | Path) -> nn.Module:
    """Build a trained model.

    Args:
        config: file of a config of either toolbox that says all of its model, as work directories keep it.
        checkpoint: file with its weights.

    Returns:
        The model, on the CPU, with ``dataset_meta`` of its training, as the toolboxes' own functions leave it.

    Raises:
        FileNotFoundError: if one of the files is not there.
        DistillationError: if the weights are not those of the model.
        DifferenceError: if they were trained with another clip than the config says.
    """
    cfg = read_teacher(config)
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    content, model_cfg = read_checkpoint(checkpoint), model_of(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(model_cfg)
    try:
        if not has_frames(model):
            refuse_frames(content, str(checkpoint))
        load_weights(model, content.get('state_dict', content), str(config), str(checkpoint))
    except DifferenceError as error:
        reason = re.split(r'; name the config|\. Set it as', str(error))[0]  # whose remedies are for a model to train
        raise DifferenceError(
            f'the teacher {checkpoint}: {reason.removeprefix(str(checkpoint)).strip()}. Name the config that its work '
            'directory keeps, or say what it was trained with by --teacher-das POLICY.json (--teacher-das repeat '
            'without a policy) and --teacher-fusion'
        ) from error
    meta = content.get('meta')
    model.dataset_meta = (meta.get('dataset_meta') if isinstance(meta, Mapping) else None) or {}
    return model


def read_teacher(config: str | Path) -> Config:
    """The config of a teacher.

    Raises:
        FileNotFoundError: if the file is not there.
    """
    if not Path(config).is_file():
        raise FileNotFoundError(f'there is no config {config} of the teacher; name the config that its work dir keeps')
    return Config.fromfile(config, import_custom_modules=False)


def model_of(cfg: Config) -> dict[str, Any]:
    """The model of a config with its data preprocessor, wherever that stands."""
    model: dict[str, Any] = dict(cfg.model)
    if model.get('data_preprocessor') is None and cfg.get('data_preprocessor') is not None:
        model['data_preprocessor'] = cfg.data_preprocessor  # where MMPretrain's base configs have it
    return model


def settings_of(config: str | Path) -> str:
    """Eight digits that tell the settings of a teacher's model from others; where its first weights came from aside."""
    return f'{checksum(without_start(Config(model_of(read_teacher(config))).to_dict())):08x}'


def without_start(value: Any) -> Any:
    """Settings, sorted, without those of the weights that a training begins with."""
    if isinstance(value, dict):
        kept = sorted((key for key in value if key not in ('init_cfg', 'pretrained')), key=str)
        return {key: without_start(value[key]) for key in kept}
    return [without_start(one) for one in value] if isinstance(value, (list, tuple)) else value


def load_weights(model: nn.Module, weights: dict[str, Any], config: str, checkpoint: str) -> None:
    """Load weights that have to be all of a model's.

    Raises:
        DistillationError: naming the first weights that are missing, left over or of another shape.
    """
    weights = {key.removeprefix('module.'): value for key, value in weights.items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # of PyTorch: a line for every weight
        reason = ' '.join(str(error).split())[:300]
        raise DistillationError(
            f'{checkpoint} does not hold the weights of the model of {config}: {reason}; name the config of its '
            'training'
        ) from error
