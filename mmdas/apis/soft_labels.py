"""What mixed images need of a config: two of them in a batch, and a head that learns from the scores of classes."""

from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdas.augment.soft_scores import reason_against_scores
from mmdas.registry import MODELS

from .config_files import host_of
from .das_options import ConversionError
from .das_settings import preprocessor_of, preprocessor_place


def take_soft_labels(cfg: Config) -> None:
    """Let the head of a classifier learn from samples with ``gt_score``; what it computes of labels stays.

    The accuracy of training batches, which compares with one class, is left out. The losses of MMPretrain for one label
    an image take scores as they are, whatever ``use_soft`` says: PyTorch's cross-entropy does.

    Args:
        cfg: plain or of DAS; its ``model.head`` is changed where it computes the accuracy. That of a toolbox of label
            maps stays.

    Raises:
        ConversionError: naming the head or the loss that cannot, and what can.
    """
    host = host_of(cfg)
    if host.label_maps:
        return
    head = (cfg.get('model') or {}).get('head')
    if not isinstance(head, dict):
        raise ConversionError(
            f'{(cfg.get("model") or {}).get("type", "this model")} has no head of classes that could learn from mixed '
            'labels; take a config of a classifier'
        )
    inner = innermost(head)
    if inner.get('cal_acc'):
        inner['cal_acc'] = False
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or host.scope):
        try:
            reason = reason_against_scores(MODELS.build(head))
        except KeyError as error:  # of the registry
            reason = f'{head.get("type")} cannot be built: {error.args[0]}'
    if reason:
        raise ConversionError(f'mixed images have the scores of several classes, but {reason}')


def check_pairs(cfg: Config, word: str) -> None:
    """Check that a batch has a second image to mix the first one with.

    Args:
        cfg: of the training.
        word: of the command, which mixes.

    Raises:
        ConversionError: for batches of one.
    """
    if (cfg.get('train_dataloader') or {}).get('batch_size') == 1:
        raise ConversionError(
            f'{word} mixes two images of a batch, but train_dataloader.batch_size is 1; raise it by --cfg-options, or '
            f'leave {word} out'
        )


def check_unmixed(cfg: Config) -> None:
    """Check that a config does not mix labels itself, which a second mixer would mix again.

    Raises:
        ConversionError: naming what does.
    """
    of_model = (cfg.get('model') or {}).get('train_cfg') or {}
    found = {
        'model.train_cfg.augments': of_model.get('augments') if isinstance(of_model, dict) else None,
        f'{preprocessor_place(cfg)}.batch_augments': preprocessor_of(cfg).get('batch_augments'),
    }
    for place, augments in found.items():
        if augments:
            raise ConversionError(
                f'this config mixes labels already: {place} is {augments}; leave that or the new one out, such as by '
                f'--cfg-options {place}=None'
            )


def innermost(head: Any) -> Any:
    """The config of the host's head within one that pools over frames."""
    return innermost(head['head']) if isinstance(head.get('head'), dict) else head
