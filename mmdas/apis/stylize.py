"""A copy of a data set in which each image has the style of another one (after Geirhos et al., ICLR 2019)."""

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.utils import ProgressBar

from mmdas.engine.checkpoints import write_atomically
from mmdas.engine.hooks.distill_hook import fingerprint
from mmdas.noise import import_toolbox
from mmdas.style import AdaINStyle, ColourStatistics, Statistics, list_images, read_image
from mmdas.style.images import SIDE
from mmdas.style.stylizer import check_alpha

from .das_settings import preprocessor_of
from .stylize_samples import StylizeSample, encode, image_lists, list_samples

METHODS = ('adain', 'statistics')
SPLITS = ('train', 'val', 'test')
RECORD = 'stylize.json'
KEPT = 4096  # styles whose statistics are kept


@dataclass(frozen=True)
class StylizeOptions:
    """What a user chooses.

    Args:
        styles: folder of the style images, with folders within it.
        out: root of the new data set.
        splits: parts of the config to copy, of ``'train'``, ``'val'`` and ``'test'``. Default: ``('train',)``.
        method: ``'adain'``, or ``'statistics'``: mean and deviation of the colours, without weights. Default: 'adain'.
        encoder, decoder: files of AdaIN's weights, see :class:`mmdas.style.AdaINStyle`.
        alpha: 0 keeps the style, 1 (default) replaces it, as in Stylized-ImageNet.
        seed: of the choice of styles. Default: 0.
        device: such as ``'cuda:0'``. Default: a GPU if there is one.

    Raises:
        ValueError: for an unknown word, a number outside its range, or weights that are missing or not used.
    """

    styles: str
    out: str
    splits: tuple[str, ...] = ('train',)
    method: str = 'adain'
    encoder: str | None = None
    decoder: str | None = None
    alpha: float = 1.0
    seed: int = 0
    device: str | None = None

    def __post_init__(self) -> None:
        for name, words, given in (('method', METHODS, [self.method]), ('split', SPLITS, self.splits)):
            if not given or set(given) - set(words):
                raise ValueError(f'{name} of a stylised data set is one of {", ".join(words)}, got {", ".join(given)}')
        check_alpha(self.alpha)
        files = {'encoder': self.encoder, 'decoder': self.decoder}
        wrong = [name for name, file in files.items() if (file is None) == (self.method == 'adain')]
        if wrong and self.method == 'adain':
            raise ValueError(
                f'adain needs the weights of its {" and ".join(wrong)} (vgg_normalised.pth and decoder.pth of AdaIN in '
                'PyTorch); give their files, or the method statistics, which changes colours and needs no weights'
            )
        if wrong:
            raise ValueError(f'the method {self.method} has no {wrong[0]}; leave it out, or take adain')

    @property
    def place(self) -> torch.device:
        """The device."""
        return torch.device(self.device or ('cuda' if torch.cuda.is_available() else 'cpu'))

    def build(self) -> AdaINStyle | ColourStatistics:
        """What stylises, on its device."""
        made = AdaINStyle(self.encoder, self.decoder) if self.method == 'adain' else ColourStatistics()
        return made.to(self.place)


@dataclass(frozen=True)
class Stylized:
    """What was done.

    Args:
        made: images that were written now.
        kept: images that an earlier run had written.
        usage: how a training takes the new data set, in a line.
    """

    made: int
    kept: int
    usage: str


def stylize_dataset(cfg: Config, options: StylizeOptions) -> Stylized:
    """Write a data set with other styles, file by file, in the layout of the old one.

    Each image is there once, in the style that follows from the seed and its name. Label maps and lists are copied as
    they are. Files are there whole or not at all. A run that was ended goes on where it was, and gives the same files.

    Args:
        cfg: of either toolbox, plain or of DAS.
        options: what to do.

    Raises:
        FileNotFoundError: for a folder of styles without images, or weights that are not there.
        ValueError: if the config has no such split, if the folder holds images of other options, or as the parts say.
    """
    styles = list_images(options.styles)
    stylizer = options.build()
    begin(Path(options.out), record_of(options, stylizer, styles))
    samples, files, lists = collect(cfg, options.splits)
    for source, place in files:
        write_atomically(Path(options.out, place), Path(source).read_bytes())
    for place, content in lists.items():
        write_atomically(Path(options.out, place), content.encode())
    left = [sample for sample in samples if not is_done(sample, Path(options.out))]
    stylize_all(left, styles, stylizer, options)
    usage = use_lists(options.out, lists) if lists else use_root(cfg, options)
    return Stylized(len(left), len(samples) - len(left), usage)


def use_root(cfg: Config, options: StylizeOptions) -> str:
    """The options with which a config takes files from another root."""
    words = ['--cfg-options']
    for split in options.splits:
        place, node = f'{split}_dataloader.dataset', cfg[f'{split}_dataloader'].dataset
        while 'dataset' in node:
            place, node = f'{place}.dataset', node.dataset
        words.append(f'{place}.data_root={options.out}')
    return ' '.join(words)


def use_lists(out: str, lists: dict[str, str]) -> str:
    """The data set of MMPretrain that reads files of images that had none."""
    place = next(iter(lists))
    return (
        f"dataset=dict(type='CustomDataset', data_root='{out}', data_prefix='{Path(place).stem}', ann_file='{place}')"
    )


def collect(cfg: Config, splits: tuple[str, ...]) -> tuple[list[StylizeSample], list[tuple[str, str]], dict[str, str]]:
    """Samples, lists that are files, and lists that are not, of some splits of a config.

    Raises:
        ValueError: if the config has no such split.
    """
    samples: dict[str, StylizeSample] = {}
    files: dict[str, str] = {}
    lists: dict[str, str] = {}
    options = preprocessor_of(cfg)
    swapped = bool(options.get('to_rgb') or options.get('bgr_to_rgb'))  # so arrays of images are BGR
    with DefaultScope.overwrite_default_scope(import_scope(cfg)):
        for split in splits:
            loader = cfg.get(f'{split}_dataloader')
            if not loader:
                raise ValueError(f'the config has no {split}_dataloader')
            dataset = DATASETS.build(loader.dataset)
            found, named = list_samples(dataset, split, swapped)
            samples = {**{sample.name: sample for sample in found}, **samples}
            files.update(named)
            lists.update(image_lists(dataset, split))
    return list(samples.values()), list(files.items()), lists


def import_scope(cfg: Config) -> str:
    """The toolbox of a config, imported."""
    scope = cfg.get('default_scope', 'mmengine')
    import_toolbox(scope)
    return scope


def record_of(options: StylizeOptions, stylizer: torch.nn.Module, styles: list[Path]) -> dict[str, Any]:
    """What the images of a folder depend on."""
    names = [f'{path.relative_to(options.styles).as_posix()} {path.stat().st_size}' for path in styles]
    return {
        'method': options.method,
        'alpha': options.alpha,
        'seed': options.seed,
        'weights': fingerprint(stylizer),
        'number of styles': len(styles),
        'styles': blake2b('\n'.join(names).encode(), digest_size=8).hexdigest(),
    }


def begin(out: Path, record: dict[str, Any]) -> None:
    """Note what a folder is made with, or see that it was made with the same.

    Raises:
        ValueError: if it was made with other options.
    """
    path = out / RECORD
    if not path.is_file():
        write_atomically(path, (json.dumps(record, indent=1) + '\n').encode())
        return
    before = json.loads(path.read_text(encoding='utf-8'))
    different = [
        f'{key} is {record[key]} and was {before.get(key)}' for key in record if record[key] != before.get(key)
    ]
    if different:
        raise ValueError(f'{out} holds images of other options: {"; ".join(different)}; give another folder')


def is_done(sample: StylizeSample, out: Path) -> bool:
    """Whether an image and its label map are there."""
    return (out / sample.name).is_file() and (sample.label_map is None or (out / sample.label_map[1]).is_file())


def stylize_all(
    samples: list[StylizeSample], styles: list[Path], stylizer: AdaINStyle | ColourStatistics, options: StylizeOptions
) -> None:
    """Write the copies of samples, with a bar that tells the time left."""
    if not samples:
        return
    out, device = Path(options.out), options.place

    @lru_cache(maxsize=KEPT)
    def statistics(path: Path) -> Statistics:
        return stylizer.statistics(read_image(path, SIDE).to(device))

    bar = ProgressBar(len(samples))
    for sample in samples:
        style = statistics(styles[style_number(sample.name, options.seed, len(styles))])
        image = stylizer.stylize(sample.read().to(device), style, options.alpha)
        if sample.label_map is not None:
            source, place = sample.label_map
            write_atomically(out / place, Path(source).read_bytes())
        write_atomically(out / sample.name, encode(image, sample.name))
        bar.update()
    print()


def style_number(name: str, seed: int, count: int) -> int:
    """The style of an image, in [0, count), from its name and the seed alone."""
    return int.from_bytes(blake2b(f'{seed} {name}'.encode(), digest_size=8).digest(), 'big') % count
