"""A training whose batches are augmented, from any config."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .augment_search import augmented_preprocessor
from .augment_words import KEEP, keeps_policy, steps_of
from .das_config import preprocessor_at_top
from .das_options import ConversionError
from .das_settings import preprocessor_of, searches_augmentation
from .regularize_config import REGULARIZERS


def set_augment(
    cfg: Config, policy: str | Path | dict[str, Any] | Sequence[str | Path | dict[str, Any]], own_folder: bool = False
) -> None:
    """Let a training augment its batches, whatever else the config says.

    Args:
        cfg: plain or of DAS; changed.
        policy: what is done to the batches, or several of them in their order: the file of an augmentation policy, its
            content, or a word of :data:`mmdas.apis.augment_words.WORDS`.
        own_folder: whether the work directory gets the policies' names at its end, since it is that of the training
            without them. Default: False.

    Raises:
        FileNotFoundError: if there is neither such a file nor such a word.
        PolicyError: if a file is no augmentation policy.
        ConversionError: if the model or its data preprocessor is of a kind that takes no augment, the config searches
            an augmentation itself, or something does not go with the config or the others.
    """
    words = [policy] if isinstance(policy, (str, Path, dict)) else list(policy)
    if not words:
        raise ConversionError('--augment names nothing; give the file of a policy or a word')
    regularisers = [str(word) for word in words if str(word) in REGULARIZERS]
    if regularisers:
        raise ConversionError(f'{regularisers[0]} is a regulariser, which --regularize takes')
    if searches_augmentation(cfg):
        shown = ' '.join(str(word) for word in words)
        raise ConversionError(f'--augment {shown}: this run searches the augmentation of its batches; leave it out')
    settings = augmented_preprocessor(
        cfg, steps_of(cfg, [str(word) if isinstance(word, Path) else word for word in words])
    )
    if preprocessor_at_top(cfg):
        cfg.data_preprocessor.update(settings)
    elif preprocessor_of(cfg):
        cfg.model.data_preprocessor.update(settings)
    else:
        cfg.model.data_preprocessor = settings
    if own_folder:
        cfg.work_dir = '_'.join([cfg.work_dir, *(folder_word(word) for word in words)])


def folder_word(policy: Any) -> str:
    """What the name of a work directory says of a policy."""
    if isinstance(policy, dict):
        return 'policy'
    keep = KEEP if keeps_policy(str(policy)) else ''
    path = Path(str(policy).removeprefix(keep))
    return keep + (path.parent.name if path.stem == 'policy' and path.parent.name else path.stem)
