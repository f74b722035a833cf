"""A training whose batches an augmentation policy augments, from any config."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.ddas import uniform_policy

from .augment_search import augmented_preprocessor, ignored_label
from .das_config import preprocessor_at_top
from .das_settings import preprocessor_of


def fixed_policy(name: str) -> AugmentPolicy | None:
    """A policy that nothing is searched for, by its name; None for another word.

    Args:
        name: ``'uniform'`` (the control of DDAS), ``'randaugment'``, ``'trivialaugment'``, ``'autoaugment'``
            (ImageNet's), or ``'autoaugment-cifar10'`` and ``'autoaugment-svhn'``.
    """
    from mmdas.search.augmentation.published import auto_augment, rand_augment, trivial_augment

    if name == 'uniform':
        return uniform_policy()
    if name == 'randaugment':
        return rand_augment()
    if name == 'trivialaugment':
        return trivial_augment()
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
        fixed = fixed_policy(content)
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
