"""A training whose batches an augmentation policy augments, from any config."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.ddas import uniform_policy

from .augment_search import augmented_preprocessor, ignored_label
from .clip_config import last_size, pair, pipeline_of
from .das_config import preprocessor_at_top
from .das_settings import preprocessor_of

NAMED = ('uniform', 'randaugment', 'trivialaugment', 'autoaugment')


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
                'trivialaugment shifts by pixels, and the config does not say how large its training images are; set '
                'data_preprocessor.size or a crop_size, or give the file of a policy (mmdas.search.augmentation)'
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
        ConversionError: if the model or its data preprocessor is of a kind that takes no augment.
    """
    content: Any = policy if isinstance(policy, dict) else str(policy)
    if isinstance(content, str) and not Path(content).is_file():
        fixed = fixed_policy(content, training_size(cfg))
        if fixed is not None:
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


def training_size(cfg: Config) -> tuple[int, int] | None:
    """Shorter and longer side of the images of a training; None where the config does not tell."""
    return pair(preprocessor_of(cfg).get('size')) or last_size(pipeline_of(cfg.get('train_dataloader')))
