"""A teacher from its config and its checkpoint."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.utils import import_modules_from_strings
from torch import nn

from mmdas.engine.checkpoints import read_checkpoint
from mmdas.engine.hooks.resume_check_hook import has_frames, refuse_frames
from mmdas.models.distillation import DistillationError


def load_teacher(config: str | Path, checkpoint: str | Path) -> nn.Module:
    """Build a trained model.

    Args:
        config: file of a config of either toolbox that says all of its model, as work directories keep it.
        checkpoint: file with its weights.

    Returns:
        The model, on the CPU.

    Raises:
        FileNotFoundError: if one of the files is not there.
        DistillationError: if the weights are not those of the model.
        DifferenceError: if they were trained with another clip than the config says.
    """
    if not Path(config).is_file():
        raise FileNotFoundError(f'there is no config {config} of the teacher; name the config that its work dir keeps')
    cfg = Config.fromfile(config, import_custom_modules=False)
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    content = read_checkpoint(checkpoint)
    model_cfg: dict[str, Any] = dict(cfg.model)
    if model_cfg.get('data_preprocessor') is None and cfg.get('data_preprocessor') is not None:
        model_cfg['data_preprocessor'] = cfg.data_preprocessor  # where MMPretrain's base configs have it
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(model_cfg)
    if not has_frames(model):
        refuse_frames(content, str(checkpoint))
    load_weights(model, content.get('state_dict', content), str(config), str(checkpoint))
    return model


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
