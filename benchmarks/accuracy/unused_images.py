"""Training images that a task leaves out: a teacher labels them, and a row trains on them as well."""

import copy
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmdas.apis import load_config, preprocessor_of
from mmdas.apis.data_distillation import DataDistillation, distill_data

from .rows import Row
from .tasks import ROOT, Task

# Each class of the small CIFAR-10 has 200 images of 5,000; so many of the others are labelled.
MORE_OF_A_CLASS = 800
# On 32 x 32 pixels a mirror image is the only view that helps.
VIEWS = {'cifar10': ('flip',), 'camvid': ('flip', 'size')}


def add_unused(cfg: Config, task: Task, row: Row, teacher: Path, folder: Path) -> tuple[int, int, float]:
    """Add the unused images, as a teacher labels them, to the training data of a config.

    Args:
        cfg: of the row.
        task: of the table.
        row: with the least confidence of a label.
        teacher: its checkpoint.
        folder: of the labels, which are made now if they were not before.

    Returns:
        Number of the images, number of those that have a label, and CPU seconds of the labelling.
    """
    taught_by = load_config(task.path)  # in a test an augmented training's network is the plain one
    if task.host == 'cifar10':
        read_files(taught_by, folder)
        read_files(cfg, folder)
    images = link(unused(task), folder / 'images')
    options = DataDistillation(VIEWS[task.host], confidence=row.confidence, batch_size=50)
    start = time.process_time()
    found = distill_data(taught_by, teacher, images, folder / 'labels', options)
    seconds = time.process_time() - start
    loader = cfg.train_dataloader
    own = {**found.dataset, 'pipeline': copy.deepcopy(loader.dataset.pipeline)}
    ignored = {'ignore_keys': ['label_map']} if task.host == 'camvid' else {}
    loader.dataset = Config({'x': {'type': 'ConcatDataset', **ignored, 'datasets': [loader.dataset, own]}}).x
    return found.images, found.kept, seconds


def unused(task: Task) -> list[Path]:
    """Training images that the rows of a task do not train on, one of several classes after the other."""
    data = load_config(task.path).train_dataloader.dataset
    if task.host == 'cifar10':
        folders = sorted(path for path in (ROOT / data.data_root / data.split).iterdir() if path.is_dir())
        last = data.per_class + MORE_OF_A_CLASS
        return [file for folder in folders for file in sorted(folder.glob('*.jpg'))[data.per_class : last]]
    files = sorted((ROOT / data.data_root / data.data_prefix.img_path).iterdir())
    used = set(data.indices)
    return [file for place, file in enumerate(files) if place not in used]


def link(files: Sequence[Path], folder: Path) -> Path:
    """A folder of links to files; folders of classes get lost on purpose, names of two of them are kept apart."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        name = folder / f'{number:05d}{file.suffix}'
        if not name.is_symlink():
            name.symlink_to(file.resolve())
    return folder


def read_files(cfg: Config, folder: Path) -> None:
    """Let a config of the small CIFAR-10 read its images from files, which in mmcv have the order BGR."""
    preprocessor_of(cfg).to_rgb = True
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        data = cfg[name].dataset
        root = ROOT / data.data_root / data.split
        folders = sorted(path for path in root.iterdir() if path.is_dir())
        lines = [
            f'{folder.name}/{file.name} {label}'
            for label, folder in enumerate(folders)
            for file in sorted(folder.glob('*.jpg'))[: data.get('per_class')]
        ]
        listed = folder / f'{name}.txt'
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text('\n'.join(lines))
        cfg[name].dataset = Config(
            dict(
                x=dict(
                    type='CustomDataset',
                    data_prefix=str(root),
                    ann_file=str(listed),
                    metainfo=dict(classes=tuple(folder.name for folder in folders)),
                    pipeline=[dict(type='LoadImageFromFile'), *data.pipeline],
                )
            )
        ).x
