"""The policies that nothing is searched for, by their names."""

from mmdas.search.augmentation import AugmentPolicy, Choice, Stage, SubPolicy
from mmdas.search.ddas import uniform_policy

CUTOUT = AugmentPolicy((SubPolicy((Stage((Choice('cutout', 0.5),)),)),))  # half of the shorter side, as KeepCutout
NAMED = ('uniform', 'randaugment', 'trivialaugment', 'autoaugment', 'autoaugment-cifar10', 'autoaugment-svhn')


def fixed_policy(name: str, size: tuple[int, int] | None = None) -> AugmentPolicy | None:
    """A policy that nothing is searched for, by its name; None for another word.

    Args:
        name: ``'uniform'`` (the control of DDAS), ``'randaugment'``, ``'trivialaugment'``, ``'autoaugment'``
            (ImageNet's), ``'autoaugment-cifar10'``, ``'autoaugment-svhn'``, or ``'cutout'`` (of half the shorter side).
        size: (H, W) of the training's images in pixels, which TrivialAugment's shifts count in.

    Raises:
        ValueError: for TrivialAugment without a size, or an unknown policy of AutoAugment.
    """
    from mmdas.search.augmentation.published import auto_augment, rand_augment, trivial_augment

    if name == 'uniform':
        return uniform_policy()
    if name == 'randaugment':
        return rand_augment()
    if name == 'cutout':
        return CUTOUT
    if name == 'trivialaugment':
        if size is None:
            raise ValueError(
                'trivialaugment shifts by pixels, and nothing says how large the training images are (with --augment '
                'crop_size of the pipeline or data_preprocessor.size do); write it for their size by python '
                'tools/misc/import_policy.py trivialaugment FILE --size H W, and give that file'
            )
        return trivial_augment(size)
    kind, _, data = name.partition('-')
    return auto_augment(data or 'imagenet') if kind == 'autoaugment' else None
