"""Write a published policy, or one of another project, as a file: ``python tools/misc/import_policy.py NAME OUT.json``.

NAME is one of ``--list``; or a config of MMPretrain whose training pipeline has AutoAugment or RandAugment; or a text
with a genotype of DADA or Fast AutoAugment. docs/augmentation.md says what is carried over, and what is different.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdas.apis import find_config, iterate_dicts, read_config
from mmdas.search.augmentation import (
    AugmentPolicy,
    auto_augment,
    from_genotype,
    from_mmpretrain,
    rand_augment,
    trivial_augment,
)

PRESET = 'mmpretrain-'
TEXTS = ('.txt', '.genotype')


def parse_args(arguments: Sequence[str] | None = None) -> Namespace:
    """Read the command line."""
    parser = ArgumentParser(description='Write a policy of others as a file of mmdas')
    parser.add_argument('source', nargs='?', metavar='NAME|FILE', help='a name of --list, a config, or a genotype')
    parser.add_argument('out', nargs='?', metavar='OUT.json', help='file to write, such as work_dirs/auto.json')
    parser.add_argument('--list', action='store_true', help='print the names and end')
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('H', 'W'), help='of the images, where a policy counts in pixels'
    )
    parser.add_argument('--operations', type=int, default=2, help='of RandAugment, default: %(default)s')
    parser.add_argument('--level', type=int, default=9, help='of RandAugment, default: %(default)s')
    parser.add_argument('--genotype', metavar='NAME', help='which of several genotypes in a file')
    args = parser.parse_args(arguments)
    if not args.list and args.out is None:
        parser.error('give NAME|FILE and OUT.json, or --list')
    return args


def names(args: Namespace) -> dict[str, Callable[[], AugmentPolicy]]:
    """Name -> what makes the policy."""
    presets = mmpretrain_presets()

    def preset(name: str) -> AugmentPolicy:
        kind = 'AutoAugment' if isinstance(presets[name][0], list) else 'RandAugment'
        levels = dict(num_policies=args.operations, magnitude_level=args.level) if kind == 'RandAugment' else {}
        return from_mmpretrain(dict(type=kind, policies=name, **levels), args.size, presets)

    def trivial() -> AugmentPolicy:
        if args.size is None:
            raise ValueError('TrivialAugment shifts by pixels; say the size of the images, as --size 32 32')
        return trivial_augment(args.size)

    return {
        'autoaugment-cifar10': lambda: auto_augment('cifar10'),
        'autoaugment-imagenet': lambda: auto_augment('imagenet'),
        'autoaugment-svhn': lambda: auto_augment('svhn'),
        'randaugment': lambda: rand_augment(args.operations, args.level),
        'trivialaugment': trivial,
        **{f'{PRESET}{name}': lambda name=name: preset(name) for name in presets},
    }


def mmpretrain_presets() -> Mapping[str, list]:
    """The named policies of MMPretrain."""
    from mmpretrain.datasets.transforms.auto_augment import AUTOAUG_POLICIES, RANDAUG_POLICIES

    return {**AUTOAUG_POLICIES, **RANDAUG_POLICIES}


def read_file(path: str, args: Namespace) -> AugmentPolicy:
    """The policy of a genotype or a config.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has none, or several.
    """
    if Path(path).is_file() and (Path(path).suffix in TEXTS or args.genotype):
        return from_genotype(Path(path).read_text(encoding='utf-8'), args.genotype)
    try:
        cfg = read_config(find_config(path)[0])
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path} is no name of --list, and {error}') from None
    steps = [step for _, step in iterate_dicts(cfg.get('train_dataloader', {}))]
    applied = [step for step in steps if _kind(step) == 'RandomApply' and any(map(_is_policy, _inner(step)))]
    within = [id(inner) for step in applied for inner in _inner(step)]
    found = applied + [step for step in steps if _is_policy(step) and id(step) not in within]
    if len(found) != 1:
        raise ValueError(
            f'train_dataloader of {path} has {len(found)} transforms AutoAugment or RandAugment, expected one; a text '
            f'with a genotype ends in {" or ".join(TEXTS)}, or comes with --genotype'
        )
    return from_mmpretrain(found[0], args.size, mmpretrain_presets())


def _is_policy(step: Mapping[str, Any]) -> bool:
    return _kind(step) in ('AutoAugment', 'RandAugment')


def _kind(step: Mapping[str, Any]) -> str:
    return str(step.get('type')).removeprefix('mmpretrain.')


def _inner(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The transforms of a RandomApply, which may be a single one."""
    inner = step.get('transforms')
    return [one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, Mapping)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the policy and print its path, or print the names."""
    args = parse_args(arguments)
    known = names(args)
    if args.list:
        print('\n'.join(known))
        return
    policy = known[args.source]() if args.source in known else read_file(args.source, args)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    policy.save(args.out)
    print(args.out)


if __name__ == '__main__':
    main()
