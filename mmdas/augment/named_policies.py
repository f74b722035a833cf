"""The policies that nothing is searched for, by their names."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from mmdas.search.augmentation import AugmentPolicy, Choice, Stage, SubPolicy
from mmdas.search.ddas import uniform_policy

CUTOUT = AugmentPolicy((SubPolicy((Stage((Choice('cutout', 0.5),)),)),))  # half of the shorter side, as KeepCutout
AUTO = {  # name -> the data that AutoAugment was searched on
    'autoaugment': 'imagenet',
    'autoaugment-imagenet': 'imagenet',
    'autoaugment-cifar10': 'cifar10',
    'autoaugment-svhn': 'svhn',
}
NAMED = ('uniform', 'randaugment', 'trivialaugment', *AUTO)
NAMES = (*NAMED, 'cutout')  # of fixed_policy


def fixed_policy(name: str, size: tuple[int, int] | None = None) -> AugmentPolicy | None:
    """A policy that nothing is searched for, by its name; None for another word.

    Args:
        name: ``'uniform'`` (the control of DDAS), ``'randaugment'``, ``'trivialaugment'``, ``'autoaugment'``
            (ImageNet's, as ``'autoaugment-imagenet'``), ``'autoaugment-cifar10'``, ``'autoaugment-svhn'``, or
            ``'cutout'`` (of half the shorter side).
        size: (H, W) of the training's images in pixels, which TrivialAugment's shifts count in.

    Raises:
        ValueError: for TrivialAugment without a size.
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
    return auto_augment(AUTO[name]) if name in AUTO else None


def what_is_there(path: str, words: Sequence[str] = NAMES) -> str:
    """The beginning of a message that says what a text is that names no file, with the words that were meant.

    Args:
        path: the text.
        words: that could be meant. Default: the names of the fixed policies.
    """
    if not path.strip():
        return 'the name of a policy is empty;'
    if Path(path).is_dir():
        inside = Path(path, 'policy.json')
        return f'{path} is a folder' + (f'; give {inside};' if inside.is_file() else ' without a policy.json;')
    parts = path.lower().replace(',', ' ').replace('+', ' ').split()
    close = [match for part in parts for match in get_close_matches(part, words, n=1)]
    return f'there is no file {path}' + (f'; did you mean {" ".join(close)}?' if len(close) == len(parts) else ';')
