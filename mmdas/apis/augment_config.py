"""A training whose batches an augmentation policy augments, from any config."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.ddas import uniform_policy

from .augment_search import augmented_preprocessor, ignored_label
from .clip_config import last_size, pair, pipeline_of
from .das_config import preprocessor_at_top
from .das_options import ConversionError
from .das_settings import preprocessor_of, searches_augmentation

NAMED = ('uniform', 'randaugment', 'trivialaugment', 'autoaugment', 'autoaugment-cifar10', 'autoaugment-svhn')
NAMES = ', '.join(NAMED[:-1]) + f' or {NAMED[-1]}'


def fixed_policy(name: str, size: tuple[int, int] | None = None) -> AugmentPolicy | None:
    """A policy that nothing is searched for, by its name; None for another word.

    Args:
        name: ``'uniform'`` (the control of DDAS), ``'randaugment'``, ``'trivialaugment'``, ``'autoaugment'``
            (ImageNet's), or ``'autoaugment-cifar10'`` and ``'autoaugment-svhn'``.
        size: (H, W) of the training's images in pixels, which TrivialAugment's shifts count in.

    Raises:
        ValueError: for TrivialAugment without a size, or an unknown policy of AutoAugment.
    """
    from mmdas.search.augmentation.published import auto_augment, rand_augment, trivial_augment

    if name == 'uniform':
        return uniform_policy()
    if name == 'randaugment':
        return rand_augment()
    if name == 'trivialaugment':
        if size is None:
            raise ValueError(
                'trivialaugment shifts by pixels, and neither a crop_size of the pipeline nor data_preprocessor.size '
                'says how large the training images are; write it for their size by python tools/misc/import_policy.py '
                'trivialaugment FILE --size H W, and give that file'
            )
        return trivial_augment(size)
    kind, _, data = name.partition('-')
    return auto_augment(data or 'imagenet') if kind == 'autoaugment' else None


def set_augment(cfg: Config, policy: str | Path | dict[str, Any], own_folder: bool = False) -> None:
    """Let a training augment its batches with a policy, whatever else the config says.

    Args:
        cfg: plain or of DAS; changed.
        policy: file of an augmentation policy, its content, or a name of :func:`fixed_policy`.
        own_folder: whether the work directory gets the policy's name at its end, since it is that of the training
            without the policy. Default: False.

    Raises:
        FileNotFoundError: if there is neither such a file nor such a name.
        PolicyError: if the file is no augmentation policy.
        ConversionError: if the model or its data preprocessor is of a kind that takes no augment, or the config
            searches an augmentation itself.
    """
    if searches_augmentation(cfg):
        raise ConversionError(f'--augment {policy}: this run searches the augmentation of its batches; leave it out')
    content: Any = policy if isinstance(policy, dict) else str(policy)
    if isinstance(content, str) and not Path(content).is_file():
        fixed = fixed_policy(content, training_size(cfg))
        if fixed is None:
            raise FileNotFoundError(f'an augmentation is the file of a policy or {NAMES}; {what_is_there(content)}')
        content = fixed.to_dict()
    if isinstance(content, dict):
        AugmentPolicy.from_dict(content)
    else:
        AugmentPolicy.load(content)
    augment = {'type': 'mmdas.PolicyAugment', 'policy': content, **ignored_label(cfg)}
    settings = augmented_preprocessor(cfg, [augment])
    if preprocessor_at_top(cfg):
        cfg.data_preprocessor.update(settings)
    elif preprocessor_of(cfg):
        cfg.model.data_preprocessor.update(settings)
    else:
        cfg.model.data_preprocessor = settings
    if own_folder:
        path = Path(str(policy))
        word = path.parent.name if path.stem == 'policy' and path.parent.name else path.stem
        cfg.work_dir = f'{cfg.work_dir}_{word}'


def what_is_there(path: str) -> str:
    """The part of a message that says what a path is that is no file, with the name that was meant."""
    inside = Path(path, 'policy.json')
    if Path(path).is_dir():
        return f'{path} is a folder' + (f'; give {inside}' if inside.is_file() else ' without a policy.json')
    close = get_close_matches(path, NAMED, n=1)
    return f'there is no file {path}' + (f'; did you mean {close[0]}?' if close else '')


def training_size(cfg: Config) -> tuple[int, int] | None:
    """Shorter and longer side of the images of a training; None where the config does not tell."""
    return pair(preprocessor_of(cfg).get('size')) or last_size(pipeline_of(cfg.get('train_dataloader')))
