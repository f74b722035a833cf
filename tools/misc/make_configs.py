"""Write the config families anew: ``python tools/misc/make_configs.py``.

A family is a folder of ``configs`` for one data set. Its hosts are installed configs, or the plain configs that stand
in the folder; each becomes a repeat, a search and a train config by ``add_das``. The pages and metafiles follow from
the configs.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmdas.apis import add_das

ROOT = Path(__file__).resolve().parents[2]
PAPER = (
    'Your Image is My Video: Reshaping the Receptive Field via Image-To-Video Differentiable AutoAugmentation and '
    'Fusion'
)


@dataclass(frozen=True)
class Family:
    """A folder of configs for one data set.

    Args:
        folder: below ``configs``.
        title: of its page.
        data: where the files of the data set have to lie, as text for its page.
        reference: what to cite.
        installed: names of the hosts that a toolbox has. The plain configs in the folder are hosts too.
    """

    folder: str
    title: str
    data: str
    reference: str
    installed: tuple[str, ...]


RESNETS = (18, 50, 101, 152)
FAMILIES = (
    Family(
        folder='voc2012',
        title='Pascal VOC 2012',
        data="""data/VOCdevkit/VOC2012/
  JPEGImages/*.jpg
  SegmentationClass/*.png       21 classes, 255 is ignored
  SegmentationClassAug/*.png    for the configs named voc12aug
  ImageSets/Segmentation/{train,val,aug}.txt""",
        reference='Everingham et al. *The Pascal Visual Object Classes Challenge: A Retrospective*. IJCV 2015. The '
        'augmented labels: Hariharan et al. *Semantic Contours from Inverse Detectors*. ICCV 2011.',
        installed=tuple(
            f'mmseg::{head}/{head}_r{depth}-d8_4xb4-40k_voc12aug-512x512.py'
            for head in ('pspnet', 'deeplabv3plus')
            for depth in (50, 101)
        ),
    ),
    Family(
        folder='cityscapes',
        title='Cityscapes',
        data="""data/cityscapes/
  leftImg8bit/{train,val}/CITY/*_leftImg8bit.png
  gtFine/{train,val}/CITY/*_gtFine_labelTrainIds.png    19 classes, 255 is ignored""",
        reference='Cordts et al. *The Cityscapes Dataset for Semantic Urban Scene Understanding*. CVPR 2016.',
        installed=(
            *(
                f'mmseg::{head}/{head}_r{depth}-d8_4xb2-80k_cityscapes-512x1024.py'
                for head in ('pspnet', 'deeplabv3plus')
                for depth in (18, 50, 101)
            ),
            'mmseg::fcn/fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py',
            'mmseg::hrnet/fcn_hr18_4xb2-80k_cityscapes-512x1024.py',
            'mmseg::mobilenet_v2/mobilenet-v2-d8_deeplabv3plus_4xb2-80k_cityscapes-512x1024.py',
        ),
    ),
    Family(
        folder='ade20k',
        title='ADE20K',
        data="""data/ade/ADEChallengeData2016/
  images/{training,validation}/*.jpg
  annotations/{training,validation}/*.png    150 classes from 1, 0 is ignored""",
        reference='Zhou et al. *Scene Parsing through ADE20K Dataset*. CVPR 2017.',
        installed=('mmseg::convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',),
    ),
    Family(
        folder='cifar10',
        title='CIFAR-10',
        data="""data/cifar10/cifar-10-batches-py/
  data_batch_1 ... data_batch_5, test_batch, batches.meta""",
        reference='Krizhevsky. *Learning Multiple Layers of Features from Tiny Images*. 2009.',
        installed=tuple(f'mmpretrain::resnet/resnet{depth}_8xb16_cifar10.py' for depth in RESNETS),
    ),
    Family(
        folder='cifar100',
        title='CIFAR-100',
        data="""data/cifar100/cifar-100-python/
  train, test, meta""",
        reference='Krizhevsky. *Learning Multiple Layers of Features from Tiny Images*. 2009.',
        installed=('mmpretrain::resnet/resnet50_8xb16_cifar100.py',),
    ),
    Family(
        folder='tiny_imagenet',
        title='Tiny-ImageNet',
        data="""data/tiny-imagenet-200/    200 classes, 64 x 64 pixels, as the archive has them
  wnids.txt, words.txt
  train/WNID/images/*.JPEG
  val/images/*.JPEG, val/val_annotations.txt""",
        reference='Le, Yang. *Tiny ImageNet Visual Recognition Challenge*. Stanford CS 231N, 2015.',
        installed=(),
    ),
    Family(
        folder='imagenet',
        title='ImageNet-1k',
        data="""data/imagenet/
  train/WNID/*.JPEG
  val/*.JPEG, meta/val.txt""",
        reference='Russakovsky et al. *ImageNet Large Scale Visual Recognition Challenge*. IJCV 2015.',
        installed=(
            *(f'mmpretrain::resnet/resnet{depth}_8xb32_in1k.py' for depth in RESNETS),
            'mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
        ),
    ),
)


def hosts(family: Family, root: Path) -> Iterator[str | Path]:
    """The plain configs of a family."""
    yield from family.installed
    folder = root / family.folder
    yield from (path for path in sorted(folder.glob('*.py')) if not is_made(path))


def is_made(path: Path) -> bool:
    """Whether a config is one of those that ``add_das`` writes."""
    return path.stem.split('-')[0] in ('repeat', 'search', 'das')


def write_family(family: Family, root: Path = ROOT / 'configs') -> list[Path]:
    """Write the configs of a family, its page and its metafile; the paths of the configs."""
    folder = root / family.folder
    made = {host_name(host): add_das(host, folder) for host in hosts(family, root)}
    (folder / 'README.md').write_text(page(family, made, root), encoding='utf-8')
    plain = [path for path in sorted(folder.glob('*.py')) if not is_made(path)]
    everything = [*plain, *(path for paths in made.values() for path in paths)]
    (folder / 'metafile.yml').write_text(metafile(family, everything), encoding='utf-8')
    return everything


def host_name(host: str | Path) -> str:
    """File name without ending."""
    return Path(str(host).rpartition('::')[2]).stem


def page(family: Family, made: dict[str, list[Path]], root: Path) -> str:
    """README of a family."""
    own = {host_name(host) for host in hosts(family, root) if isinstance(host, Path)}
    rows = []
    for host, paths in made.items():
        links = ', '.join(f'[{path.name.split("-")[0]}]({path.name})' for path in paths)
        rows.append(f'| {f"[{host}]({host}.py)" if host in own else f"`{host}`"} | {links} |')
    first = next(iter(made.values()))
    return f"""# {family.title}

Every row is a plain config, installed with its toolbox or beside this page, with the three configs that inherit from
it: T = 4 equal frames, the search of a policy, and the training with that policy. Schedules, augmentation and data set
are the host's. Another T or fusion: `python tools/misc/add_das.py CONFIG --frames 8 --fusion tsm`.

## Data

```
{family.data}
```

## Configs

| host | configs, T = 4, GSF |
| --- | --- |
{chr(10).join(rows)}

## Run

```bash
python tools/train.py configs/{family.folder}/{first[1].name}
python tools/train.py configs/{family.folder}/{first[2].name}   # with the policy that the search left
```

These configs were built and took steps on made-up data, but were not trained: their data sets were not at hand. What
was measured stands in [benchmarks/accuracy.md](../../benchmarks/accuracy.md).

## Reference

{family.reference}
"""


def metafile(family: Family, paths: list[Path]) -> str:
    """metafile.yml of a family."""
    lines = [
        'Collections:',
        f'  - Name: DAS {family.title}',
        '    License: Apache License 2.0',
        '    Paper:',
        f'      Title: "{PAPER}"',
        f'    README: configs/{family.folder}/README.md',
        '    Frameworks:',
        '      - PyTorch',
        '',
        'Models:',
    ]
    for path in paths:
        lines += [
            f'  - Name: {path.stem}',
            f'    In Collection: DAS {family.title}',
            f'    Config: configs/{family.folder}/{path.name}',
            '    Metadata:',
            f'      Training Data: {family.title}',
            f'      Frames: {4 if is_made(path) else 1}',
        ]
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Write all families."""
    ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for family in FAMILIES:
        print(f'{family.folder}: {len(write_family(family))} configs')


if __name__ == '__main__':
    main()
