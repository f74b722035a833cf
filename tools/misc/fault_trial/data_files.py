"""Training and validation files that are broken, do not fit, or are copies."""

import re
import shutil
import statistics
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from data_faults import IMAGE_FAULTS, LABEL_FAULTS, DataFault
from PIL import Image
from processes import ROOT, last_line, read
from trials import Trials

from mmdas.datasets import DigitScenesDataset, HoldoutDataset
from mmdas.engine.data_files import guard

# A classification of 20 small images in folders, of MMPretrain.
CLASSES_CONFIG = """
_base_ = {host!r}
train_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(batch_size=4, num_workers={workers}, persistent_workers={workers} > 0, dataset=dict(
    _delete_=True, type='CustomDataset', data_root={data!r}, ann_file='train.txt', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(
    _delete_=True, type='CustomDataset', data_root={data!r}, ann_file='val.txt', pipeline=train_pipeline))
test_dataloader = val_dataloader
model = dict(head=dict(num_classes=2))
train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = dict(_delete_=True, type='ConstantLR', factor=1.0)
"""


# No survey of the files and no look at labels before the first step: what is wrong is met as it is read.
AT_FIRST_USE = [
    {'type': 'mmdas.DataFilesHook', 'num_headers': 0, 'seconds': 0},
    {'type': 'mmdas.LabelCheckHook', 'num_files': 0},
]


def data(trials: Trials) -> Iterator[bool]:
    """A training file is broken or does not fit: training with 0 and 2 workers, search."""
    for fault in [*IMAGE_FAULTS, *LABEL_FAULTS]:
        for command, workers, early in [*product(['train'], (0, 2), (True, False)), ('search', 0, True)]:
            yield names(trials, fault, 'train_00007', command, workers, early)
    yield from classification(trials, 'train')


def val_data(trials: Trials) -> Iterator[bool]:
    """A validation file is broken or does not fit: before the first step, and without a survey at its use."""
    for fault in [*IMAGE_FAULTS, *LABEL_FAULTS]:
        for command, workers, early in [*product(['train'], (0, 2), (True, False)), ('search', 0, True)]:
            yield names(trials, fault, 'val_00001', command, workers, early)
    yield from classification(trials, 'val')


def masks(trials: Trials) -> Iterator[bool]:
    """All masks of a training of two classes are 0 and 255; or 0 and 255 where 255 is not ignored."""
    for ignored, says in ((255, 'hold no class but [0]'), (254, 'masks of 0 and 255 must become 0 and 1')):
        for command, workers in (('train', 0), ('train', 2), ('search', 0)):
            data, work_dir = copy_of_data(trials, f'masks-{ignored}-{command}-{workers}')
            for path in (data / 'SegmentationClass').iterdir():
                cv2.imwrite(str(path), (np.array(Image.open(path)) > 0).astype(np.uint8) * 255)
            config = data_config(trials, data, workers, True)
            with config.open('a') as file:
                file.write("two = dict(type='BaseSegDataset', metainfo=dict(classes=('ground', 'digit')))\n")
                file.write('train_dataloader["dataset"].update(two)\n')
                file.write('val_dataloader["dataset"].update(two)\n')
                file.write('loss = dict(class_weight=[1.0, 1.0])\n')
                file.write(f'model["decode_head"].update(num_classes=2, ignore_index={ignored}, loss_decode=loss)\n')
            code, text = trials.run(config, work_dir, command=command)
            yield code != 0 and says in last_line(text) and 'Traceback' not in text


def copies(trials: Trials) -> Iterator[bool]:
    """Copies of images under other names and names that are listed twice: none in both parts of a holdout."""
    data, work_dir = copy_of_data(trials, 'copies')
    names = (data / 'ImageSets/Segmentation/train.txt').read_text().split()
    for number, name in enumerate(names[:10]):
        for folder, suffix in (('JPEGImages', '.jpg'), ('SegmentationClass', '.png')):
            shutil.copy(data / folder / f'{name}{suffix}', data / folder / f'copy_{number}{suffix}')
    listed = names + [f'copy_{number}' for number in range(10)] + names[10:15]
    (data / 'ImageSets/Segmentation/train.txt').write_text('\n'.join(listed))
    for seed in range(trials.count):
        parts = [contents(data, part, seed) for part in ('weights', 'policy')]
        yield parts[0].isdisjoint(parts[1]) and len(parts[0] | parts[1]) == len(names)
    code, text = trials.run(data_config(trials, data, 0, True), work_dir, command='search')
    yield code == 0 and '15 samples are copies of others' in text


def guard_cost(trials: Trials) -> Iterator[bool]:
    """A look at the files of a batch costs less than 1 % of a step, and only the first time that they are read."""
    config = trials.folder / 'iter-0.py'
    trials.uninterrupted(config)
    steps = re.findall(r' time: ([\d.]+)', read(trials.folder / f'whole-{config.stem}.log'))
    pipeline = [{'type': 'mmseg.LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}]
    data = str(trials.folder / 'data')
    whole = DigitScenesDataset('ImageSets/Segmentation/train.txt', data_root=data, pipeline=pipeline)
    guard(whole)
    infos = [whole.get_data_info(index) for index in range(len(whole))]
    rounds = []
    for _ in range(20):
        begin = time.perf_counter()
        for info in infos:
            whole.pipeline.look(info, has_labels=True)
        rounds.append((time.perf_counter() - begin) / len(infos))
    batch, step = 4 * statistics.median(rounds), statistics.median(map(float, steps))
    print(f'a look at a batch of 4: {1000 * batch:.3f} ms; a step: {1000 * step:.1f} ms ({batch / step:.2%})')
    yield batch < 0.01 * step


def contents(data: Path, part: str, seed: int) -> set[bytes]:
    """Images of a part of a holdout."""
    whole = DigitScenesDataset('ImageSets/Segmentation/train.txt', data_root=str(data))
    holdout = HoldoutDataset(whole, part, seed=seed)
    return {Path(holdout.get_data_info(index)['img_path']).read_bytes() for index in range(len(holdout))}


def copy_of_data(trials: Trials, name: str) -> tuple[Path, Path]:
    """A copy of the data for a run, and the run's folder."""
    data = trials.folder / f'{name}-data'
    shutil.copytree(trials.folder / 'data', data)
    return data, trials.folder / name


def data_config(trials: Trials, data: Path, workers: int, early: bool) -> Path:
    """Config of a training of six iterations on a copy of the data."""
    config = data.with_suffix('.py')
    text = (
        (trials.folder / f'iter-{workers}.py').read_text().replace(repr(str(trials.folder / 'data')), repr(str(data)))
    )
    text += f'train_cfg["max_iters"] = 6\ncustom_hooks = {[] if early else AT_FIRST_USE}\n'
    config.write_text(text)
    return config


def names(trials: Trials, fault: DataFault, sample: str, command: str, workers: int, early: bool) -> bool:
    """Whether a run on data with a fault names file and fault, in one line and in time."""
    data, work_dir = copy_of_data(trials, f'{sample}-{fault.name}-{command}-{workers}-{early}'.replace(' ', '_'))
    image, label = data / 'JPEGImages' / f'{sample}.jpg', data / 'SegmentationClass' / f'{sample}.png'
    fault.damage(image if fault.file == 'image' else label)
    options = ['--cfg-options', 'train_cfg.warmup_iters=2'] if command == 'search' else []
    code, text = trials.run(data_config(trials, data, workers, early), work_dir, *options, command=command)
    shutil.rmtree(data)
    return is_named(fault, str(image if fault.file == 'image' else label), code, text, early)


def classification(trials: Trials, split: str) -> Iterator[bool]:
    """Whether runs of a classification name the image at fault."""
    for fault, workers, early in product(IMAGE_FAULTS, (0, 2), (True, False)):
        name = f'{split}-{fault.name}-{workers}-{early}'.replace(' ', '_')
        data, work_dir = trials.folder / f'{name}-classes', trials.folder / f'{name}-run'
        write_classes(data)
        fault.damage(data / split / '3.png')
        host = str(ROOT / 'configs' / 'cifar10_reduced' / 'resnet18-quarter_cifar10-reduced.py')
        config = trials.folder / f'{name}.py'
        hooks = f'custom_hooks = {[] if early else AT_FIRST_USE}\n'
        config.write_text(CLASSES_CONFIG.format(host=host, workers=workers, data=str(data)) + hooks)
        code, text = trials.run(config, work_dir)
        yield is_named(fault, str(data / split / '3.png'), code, text, early)
    if (ROOT / 'data/cifar10-reduced').exists():
        yield from cifar(trials, 'data_batch_3' if split == 'train' else 'test_batch')


def cifar(trials: Trials, file: str) -> Iterator[bool]:
    """Whether trainings on the reduced CIFAR-10 refuse a file of it that is broken, before the first step."""
    for fault in IMAGE_FAULTS:
        work_dir = trials.folder / f'{file}-{fault.name}'.replace(' ', '_')
        data = work_dir.with_name(f'{work_dir.name}-cifar')
        shutil.copytree(ROOT / 'data/cifar10-reduced', data, copy_function=shutil.copyfile)
        fault.damage(data / 'cifar-10-batches-py' / file)
        options = [f'{loader}_dataloader.dataset.data_root={data}' for loader in ('train', 'val')]
        host = ROOT / 'configs' / 'cifar10_reduced' / 'resnet18-quarter_cifar10-reduced.py'
        code, text = trials.run(host, work_dir, '--cfg-options', *options)
        yield code != 0 and str(data) in last_line(text) and 'Traceback' not in text and '(train)' not in text


def is_named(fault: DataFault, file: str, code: int, text: str, early: bool) -> bool:
    """Whether the output of a run names a fault and its file, in one line, and before the first step if it can."""
    if not fault.ends:
        return code == 0 and any(file in line and fault.says in line for line in text.splitlines())
    line = last_line(text)
    in_time = not early or '(train)' not in text
    return code != 0 and file in line and fault.says in line and 'Traceback' not in text and in_time


def write_classes(folder: Path) -> None:
    """Write ten images of two classes to train on and ten to validate on, with their lists."""
    numbers = np.random.default_rng(0)
    for split in ('train', 'val'):
        (folder / split).mkdir(parents=True)
        for number in range(10):
            cv2.imwrite(str(folder / split / f'{number}.png'), numbers.integers(0, 255, (32, 32, 3), np.uint8))
        (folder / f'{split}.txt').write_text('\n'.join(f'{split}/{number}.png {number % 2}' for number in range(10)))
