"""Inject faults into runs of the commands and print how many ended as they must.

Every run is a process of its own, killed, stopped or fed with broken files for real. The data set is DigitScenes, in a
folder that is removed at the end; the model has dropout, the images random flips and colours. Linux and macOS, a CPU.

    python tools/misc/fault_trial.py                 # all faults, some 15 minutes
    python tools/misc/fault_trial.py kill --count 3  # one of them, three times
"""

import argparse
import os
import random
import re
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice, product
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault('OMP_NUM_THREADS', '1')  # a process that is forked must have one thread

import cv2
import numpy as np
import torch
from data_faults import IMAGE_FAULTS, LABEL_FAULTS, DataFault
from malformed_inputs import ARGUMENTS, CONFIGS, POLICIES, files, write_files
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from PIL import Image

from mmdas.commands.main import run_command
from mmdas.datasets import DigitScenesDataset, HoldoutDataset
from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint, read_checkpoint
from mmdas.engine.data_files import guard
from mmdas.search import PolicyError, load_policy
from mmdas.search.das import PolicyClip

ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 12
CONFIG = """
_base_ = {host!r}
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
model = dict(backbone=dict(base_channels=4, stem_channels=4), decode_head=dict(in_channels=16, channels=8))
train_dataloader = dict(batch_size=4, num_workers={workers}, persistent_workers={workers} > 0,
    sampler=dict(type='{sampler}', shuffle=True), dataset=dict(data_root={data!r}, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root={data!r}))
test_dataloader = dict(dataset=dict(data_root={data!r}))
train_cfg = dict(_delete_=True, {loop})
default_hooks = dict(checkpoint=dict(interval=1, by_epoch={by_epoch}, max_keep_ckpts=1), logger=dict(interval=1))
log_processor = dict(by_epoch={by_epoch})
"""
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


class Trials:
    """The data, the configs and the runs of a trial.

    Args:
        folder: for all of them.
        count: how often a fault with a random moment is injected.
        seed: of the moments.
    """

    def __init__(self, folder: Path, count: int, seed: int) -> None:
        self.folder = folder
        self.count = count
        self.random = random.Random(seed)
        self.whole: dict[Path, dict] = {}
        data = str(folder / 'data')
        wait(start(['--train', '20', '--val', '2', data], folder / 'data.log', 'data'))
        host = str(ROOT / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')
        for by_epoch, workers in product((False, True), (0, 2)):
            loop = 'by_epoch=True, max_epochs=3' if by_epoch else f"type='IterBasedTrainLoop', max_iters={ITERATIONS}"
            sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
            text = CONFIG.format(**locals())
            (folder / f'{"epoch" if by_epoch else "iter"}-{workers}.py').write_text(text)

    def configs(self) -> list[Path]:
        """By iterations and by epochs, without and with workers."""
        return sorted(self.folder.glob('*-?.py'))

    def train(self, config: Path, work_dir: Path, *options: str, command: str = 'train') -> int:
        """Process id of a run that begins."""
        return start([str(config), '--work-dir', str(work_dir), *options], work_dir.with_suffix('.log'), command)

    def run(self, config: Path, work_dir: Path, *options: str, command: str = 'train') -> tuple[int, str]:
        """Exit code and output of a run."""
        log = work_dir.with_suffix('.log')
        begin = log.stat().st_size if log.exists() else 0
        code = wait(self.train(config, work_dir, *options, command=command))
        return code, log.read_text(errors='replace')[begin:]

    def uninterrupted(self, config: Path) -> dict:
        """What a config's training ends with."""
        if config not in self.whole:
            work_dir = self.folder / f'whole-{config.stem}'
            seconds = time.monotonic()
            code, text = self.run(config, work_dir)
            if code != 0:
                raise RuntimeError(f'the training without a fault ended with {code}:\n{text[-2000:]}')
            self.whole[config] = {**final(work_dir), 'seconds': time.monotonic() - seconds}
        return self.whole[config]

    def goes_on_exactly(self, config: Path, work_dir: Path) -> bool:
        """Whether a run that was interrupted, resumed, ends as one that was not, bit by bit."""
        code, _ = self.run(config, work_dir, '--resume')
        if code != 0:
            return False
        whole, resumed = self.uninterrupted(config), final(work_dir)
        return all(torch.equal(value, resumed['weights'][key]) for key, value in whole['weights'].items())

    # the faults

    def kill(self) -> Iterator[bool]:
        """SIGKILL at a random moment of a training with dropout and random augmentation, then --resume."""
        for number, config in enumerate(islice(cycle(self.configs()), self.count)):
            work_dir = self.folder / f'kill-{number}'
            seconds = self.uninterrupted(config)['seconds']
            process = self.train(config, work_dir)
            time.sleep(seconds * self.random.uniform(0.2, 0.95))
            stop(process, signal.SIGKILL)
            yield self.goes_on_exactly(config, work_dir)

    def kill_while_writing(self) -> Iterator[bool]:
        """SIGKILL while a checkpoint is written, one being kept, then --resume."""
        config = self.configs()[-1]
        self.uninterrupted(config)
        for number in range(self.count):
            work_dir = self.folder / f'write-{number}'
            process = self.train(config, work_dir)
            while not list(work_dir.glob('iter_*.pth')) and is_running(process):
                time.sleep(0.001)  # before the first one is whole there is nothing to keep
            for _ in range(self.random.randint(1, ITERATIONS - 3)):
                while not list(work_dir.glob('.*.part')) and is_running(process):
                    pass
                while list(work_dir.glob('.*.part')) and is_running(process) and self.random.random() < 0.5:
                    time.sleep(0.001)
            stop(process, signal.SIGKILL)
            yield newest_checkpoint(work_dir) is not None and self.goes_on_exactly(config, work_dir)

    def damaged(self) -> Iterator[bool]:
        """The newest checkpoint or the pointer to it is damaged, or the folder has another name; then --resume."""
        config = self.configs()[-1]
        for number, damage in enumerate(DAMAGES):
            work_dir = self.folder / f'damaged-{number}'
            self.run(config, work_dir, '--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=3')
            work_dir = damage(work_dir)
            yield self.goes_on_exactly(config, work_dir)

    def changed(self) -> Iterator[bool]:
        """A byte of the weights in a checkpoint is changed; then a test of it."""
        config = self.configs()[-1]
        work_dir = self.folder / 'changed'
        self.run(config, work_dir)
        whole = newest_checkpoint(work_dir)[0].read_bytes()
        start_ = whole.index(b'data/0') + 200
        for number in range(self.count):
            path = self.folder / f'changed-{number}.pth'
            place = self.random.randrange(start_, len(whole) - 4000)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << self.random.randrange(8)]) + whole[place + 1 :])
            try:
                read_checkpoint(path)
                yield same_content(path, newest_checkpoint(work_dir)[0])  # between two records nothing is lost
            except CheckpointError:
                yield True

    def signals(self) -> Iterator[bool]:
        """SIGTERM, SIGUSR1 and Ctrl-C: a checkpoint, the exit code, and an exact resume."""
        cases = [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130), (signal.SIGTERM, 75)]
        for number, ((which, expected), config) in enumerate(zip(cases, self.configs(), strict=True)):
            work_dir = self.folder / f'signal-{number}'
            self.uninterrupted(config)
            process = self.train(config, work_dir, '--cfg-options', 'default_hooks.checkpoint.interval=1000')
            while 'lr:' not in read(work_dir.with_suffix('.log')) and is_running(process):
                time.sleep(0.05)
            asked = time.monotonic()
            code = stop(process, which)
            saved = newest_checkpoint(work_dir) is not None
            yield code == expected and saved and time.monotonic() - asked < 5 and self.goes_on_exactly(config, work_dir)

    def not_finite(self) -> Iterator[bool]:
        """A learning rate that makes the loss overflow, in trainings and in searches by argmax."""
        rate = 'optim_wrapper.optimizer.lr=1e30'
        for number, config in enumerate(self.configs()):
            work_dir = self.folder / f'nan-{number}'
            code, text = self.run(config, work_dir, '--cfg-options', rate)
            newest = newest_checkpoint(work_dir)
            good = newest is None or all(value.isfinite().all() for value in newest[1]['state_dict'].values())
            yield code != 0 and 'loss' in text.splitlines()[-1] and good
        for number, seed in enumerate(range(3)):
            work_dir = self.folder / f'nan-search-{number}'
            options = ['train_cfg.max_iters=8', 'train_cfg.warmup_iters=2', f'randomness.seed={seed}']
            options += ['optim_wrapper.weights.optimizer.lr=1e30']
            iterations = self.folder / 'iter-0.py'
            code, _ = self.run(iterations, work_dir, '--cfg-options', *options, command='search')
            yield code != 0 and not list(work_dir.glob('policy*.json'))

    def code(self) -> Iterator[bool]:
        """A checkpoint that would make a file while it is loaded: --resume, load_from, test, predict, Pretrained."""
        config = self.configs()[-1]
        evil, ran = self.folder / 'code' / 'iter_5.pth', self.folder / 'ran'
        evil.parent.mkdir()
        torch.save({'state_dict': {}, 'meta': {'iter': 5, 'epoch': 0}, 'x': Harmless(ran)}, evil)
        image = str(next((self.folder / 'data' / 'JPEGImages').iterdir()))
        out = self.folder / 'code-run'
        pretrained = self.folder / 'pretrained.py'
        init = f"dict(type='Pretrained', checkpoint={str(evil)!r})"
        pretrained.write_text(f'_base_ = {str(config)!r}\nmodel = dict(backbone=dict(init_cfg={init}))\n')
        runs = [
            ('train', [str(config), '--work-dir', str(out), '--resume', str(evil)]),
            ('train', [str(config), '--work-dir', str(evil.parent), '--resume']),
            ('train', [str(config), '--work-dir', str(out), '--cfg-options', f'load_from={evil}']),
            ('train', [str(pretrained), '--work-dir', str(out)]),
            ('test', [str(config), str(evil), '--work-dir', str(out)]),
            ('predict', [str(config), str(evil), image, '--out-dir', str(out)]),
        ]
        for number, (command, arguments) in enumerate(runs):
            log = self.folder / f'code-{number}.log'
            status = wait(start(arguments, log, command))
            yield status not in (0, None) and not ran.exists() and 'Traceback' not in read(log)

    def soak(self) -> Iterator[bool]:
        """2,000 steps of a training and of a search: memory and open files stay flat (Linux)."""
        steps = [
            'train_cfg.max_iters=2000',
            'default_hooks.checkpoint.interval=500',
            'default_hooks.logger.interval=50',
        ]
        for command, more in (('train', []), ('search', ['train_cfg.warmup_iters=100'])):
            work_dir = self.folder / f'soak-{command}'
            process = self.train(self.folder / 'iter-2.py', work_dir, '--cfg-options', *steps, *more, command=command)
            used = []
            while is_running(process):
                used.append(resources(process))
                time.sleep(0.2)
            code = wait(process)
            quarter = len(used) // 4
            early, late = used[quarter : 2 * quarter], used[3 * quarter : -5]
            memory, files = (
                statistics.median(one[n] for one in late) / statistics.median(one[n] for one in early) for n in (0, 1)
            )  # a validation or a picture opens files for a moment
            print(f'{command}: memory x {memory:.3f}, open files x {files:.2f}', file=sys.stderr)
            yield code == 0 and memory < 1.02 and files <= 1

    def data(self) -> Iterator[bool]:
        """A training file is broken or does not fit: training with 0 and 2 workers, search."""
        for fault in [*IMAGE_FAULTS, *LABEL_FAULTS]:
            for command, workers, early in [*product(['train'], (0, 2), (True, False)), ('search', 0, True)]:
                yield self.names(fault, 'train_00007', command, workers, early)
        yield from self.classification('train')

    def val_data(self) -> Iterator[bool]:
        """A validation file is broken or does not fit: before the first step, and without a survey at its use."""
        for fault in [*IMAGE_FAULTS, *LABEL_FAULTS]:
            for command, workers, early in [*product(['train'], (0, 2), (True, False)), ('search', 0, True)]:
                yield self.names(fault, 'val_00001', command, workers, early)
        yield from self.classification('val')

    def masks(self) -> Iterator[bool]:
        """All masks of a training of two classes are 0 and 255; or 0 and 255 where 255 is not ignored."""
        for ignored, says in ((255, 'hold no class but [0]'), (254, 'masks of 0 and 255 must become 0 and 1')):
            for command, workers in (('train', 0), ('train', 2), ('search', 0)):
                data, work_dir = self.copy_of_data(f'masks-{ignored}-{command}-{workers}')
                for path in (data / 'SegmentationClass').iterdir():
                    cv2.imwrite(str(path), (np.array(Image.open(path)) > 0).astype(np.uint8) * 255)
                config = self.data_config(data, workers, True)
                with config.open('a') as file:
                    file.write("two = dict(type='BaseSegDataset', metainfo=dict(classes=('ground', 'digit')))\n")
                    file.write('train_dataloader["dataset"].update(two)\n')
                    file.write('val_dataloader["dataset"].update(two)\n')
                    file.write('loss = dict(class_weight=[1.0, 1.0])\n')
                    file.write(
                        f'model["decode_head"].update(num_classes=2, ignore_index={ignored}, loss_decode=loss)\n'
                    )
                code, text = self.run(config, work_dir, command=command)
                yield code != 0 and says in last_line(text) and 'Traceback' not in text

    def copies(self) -> Iterator[bool]:
        """Copies of images under other names and names that are listed twice: none in both parts of a holdout."""
        data, work_dir = self.copy_of_data('copies')
        names = (data / 'ImageSets/Segmentation/train.txt').read_text().split()
        for number, name in enumerate(names[:10]):
            for folder, suffix in (('JPEGImages', '.jpg'), ('SegmentationClass', '.png')):
                shutil.copy(data / folder / f'{name}{suffix}', data / folder / f'copy_{number}{suffix}')
        listed = names + [f'copy_{number}' for number in range(10)] + names[10:15]
        (data / 'ImageSets/Segmentation/train.txt').write_text('\n'.join(listed))
        for seed in range(self.count):
            parts = [self.contents(data, part, seed) for part in ('weights', 'policy')]
            yield parts[0].isdisjoint(parts[1]) and len(parts[0] | parts[1]) == len(names)
        code, text = self.run(self.data_config(data, 0, True), work_dir, command='search')
        yield code == 0 and '15 samples are copies of others' in text

    def guard_cost(self) -> Iterator[bool]:
        """A look at the files of a batch costs less than 1 % of a step, and only the first time that they are read."""
        config = self.folder / 'iter-0.py'
        self.uninterrupted(config)
        steps = re.findall(r' time: ([\d.]+)', read(self.folder / f'whole-{config.stem}.log'))
        pipeline = [{'type': 'mmseg.LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}]
        data = str(self.folder / 'data')
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

    @staticmethod
    def contents(data: Path, part: str, seed: int) -> set[bytes]:
        """Images of a part of a holdout."""
        whole = DigitScenesDataset('ImageSets/Segmentation/train.txt', data_root=str(data))
        holdout = HoldoutDataset(whole, part, seed=seed)
        return {Path(holdout.get_data_info(index)['img_path']).read_bytes() for index in range(len(holdout))}

    def copy_of_data(self, name: str) -> tuple[Path, Path]:
        """A copy of the data for a run, and the run's folder."""
        data = self.folder / f'{name}-data'
        shutil.copytree(self.folder / 'data', data)
        return data, self.folder / name

    def data_config(self, data: Path, workers: int, early: bool) -> Path:
        """Config of a training of six iterations on a copy of the data."""
        config = data.with_suffix('.py')
        text = (
            (self.folder / f'iter-{workers}.py').read_text().replace(repr(str(self.folder / 'data')), repr(str(data)))
        )
        text += f'train_cfg["max_iters"] = 6\ncustom_hooks = {[] if early else AT_FIRST_USE}\n'
        config.write_text(text)
        return config

    def names(self, fault: DataFault, sample: str, command: str, workers: int, early: bool) -> bool:
        """Whether a run on data with a fault names file and fault, in one line and in time."""
        data, work_dir = self.copy_of_data(f'{sample}-{fault.name}-{command}-{workers}-{early}'.replace(' ', '_'))
        image, label = data / 'JPEGImages' / f'{sample}.jpg', data / 'SegmentationClass' / f'{sample}.png'
        fault.damage(image if fault.file == 'image' else label)
        options = ['--cfg-options', 'train_cfg.warmup_iters=2'] if command == 'search' else []
        code, text = self.run(self.data_config(data, workers, early), work_dir, *options, command=command)
        shutil.rmtree(data)
        return is_named(fault, str(image if fault.file == 'image' else label), code, text, early)

    def classification(self, split: str) -> Iterator[bool]:
        """Whether runs of a classification name the image at fault."""
        for fault, workers, early in product(IMAGE_FAULTS, (0, 2), (True, False)):
            name = f'{split}-{fault.name}-{workers}-{early}'.replace(' ', '_')
            data, work_dir = self.folder / f'{name}-classes', self.folder / f'{name}-run'
            write_classes(data)
            fault.damage(data / split / '3.png')
            host = str(ROOT / 'configs' / 'cifar10_reduced' / 'resnet18-quarter_cifar10-reduced.py')
            config = self.folder / f'{name}.py'
            hooks = f'custom_hooks = {[] if early else AT_FIRST_USE}\n'
            config.write_text(CLASSES_CONFIG.format(host=host, workers=workers, data=str(data)) + hooks)
            code, text = self.run(config, work_dir)
            yield is_named(fault, str(data / split / '3.png'), code, text, early)
        if (ROOT / 'data/cifar10-reduced').exists():
            yield from self.cifar('data_batch_3' if split == 'train' else 'test_batch')

    def cifar(self, file: str) -> Iterator[bool]:
        """Whether trainings on the reduced CIFAR-10 refuse a file of it that is broken, before the first step."""
        for fault in IMAGE_FAULTS:
            work_dir = self.folder / f'{file}-{fault.name}'.replace(' ', '_')
            data = work_dir.with_name(f'{work_dir.name}-cifar')
            shutil.copytree(ROOT / 'data/cifar10-reduced', data, copy_function=shutil.copyfile)
            fault.damage(data / 'cifar-10-batches-py' / file)
            options = [f'{loader}_dataloader.dataset.data_root={data}' for loader in ('train', 'val')]
            host = ROOT / 'configs' / 'cifar10_reduced' / 'resnet18-quarter_cifar10-reduced.py'
            code, text = self.run(host, work_dir, '--cfg-options', *options)
            yield code != 0 and str(data) in last_line(text) and 'Traceback' not in text and '(train)' not in text

    def other_settings(self) -> Iterator[bool]:
        """A training or search is resumed with other settings: refused in one line, or accepted with a word."""
        for by_epoch, options in ((False, 'iter-0'), (True, 'epoch-0')):
            work_dir = self.stopped(self.folder / f'{options}.py', f'settings-{by_epoch}')
            for number, (option, code, told) in enumerate(TRAININGS[by_epoch]):
                yield self.resumes(self.folder / f'{options}.py', work_dir, number, option, code, told)
        search = self.folder / 'iter-0.py'
        work_dir = self.stopped(search, 'settings-search', 'search', *SEARCH)
        for number, (option, code, told) in enumerate(SEARCHES):
            yield self.resumes(search, work_dir, number, [*SEARCH, *option], code, told, 'search')

    def stopped(self, config: Path, name: str, command: str = 'train', *options: str) -> Path:
        """Folder of a run that was stopped by a signal in the middle."""
        work_dir = self.folder / name
        process = self.train(config, work_dir, '--cfg-options', 'randomness.seed=0', *options, command=command)
        while '6/' not in read(work_dir.with_suffix('.log')) and is_running(process):
            time.sleep(0.02)
        stop(process, signal.SIGTERM)
        return work_dir

    def resumes(
        self, config: Path, begun: Path, number: int, options: list[str], code: int, told: str, command: str = 'train'
    ) -> bool:
        """Whether a copy of a run that is resumed with options ends with a code and tells of them."""
        work_dir = shutil.copytree(begun, begun.with_name(f'{begun.name}-{number}'))
        checkpoint = newest_checkpoint(work_dir)[0]
        options = ['--resume', str(checkpoint), '--cfg-options', 'randomness.seed=0', *options]
        found, text = self.run(config, work_dir, *options, command=command)
        return found == code and told in text and 'Traceback' not in text

    def lost(self) -> Iterator[bool]:
        """One of two processes sleeps for ever in an iteration, or is killed: the other ends in time, with a word."""
        for number, (by, told) in enumerate((('sleep', 'did not answer for 15 s'), ('kill', 'process has ended'))):
            config, work_dir = self.folder / f'lost-{number}.py', self.folder / f'lost-{number}'
            config.write_text(
                f"_base_ = {str(self.folder / 'iter-0.py')!r}\ncustom_hooks = [dict(type='Lost', by={by!r})]\n"
                'env_cfg = dict(dist_cfg=dict(timeout=15))\n'
            )
            os.environ.update(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(29650 + number))
            processes = []
            for rank in range(2):
                os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
                arguments = [str(config), '--work-dir', str(work_dir), '--launcher', 'pytorch']
                processes.append(start(arguments, self.folder / f'lost-{number}-{rank}.log', 'train'))
            begin = time.monotonic()
            while is_running(processes[0]) and time.monotonic() - begin < 120:
                time.sleep(0.1)
            seconds = time.time() - float(read(Path(f'{work_dir}.time')) or 'inf')
            ended = not is_running(processes[0])
            codes = [stop(process, signal.SIGKILL) for process in processes]
            for name in ('WORLD_SIZE', 'RANK', 'LOCAL_RANK'):
                del os.environ[name]
            text = read(self.folder / f'lost-{number}-0.log')
            yield ended and codes[0] not in (0, None) and seconds < 30 and told in text and 'Traceback' not in text

    def malformed(self) -> Iterator[bool]:
        """Malformed configs and arguments of mmdas convert: one line, and nothing is written."""
        cases = [(content, ['mine.py', '--out-dir', 'out'], part) for content, part in CONFIGS.values()]
        cases += [(None, arguments, part) for arguments, part in ARGUMENTS.values()]
        for number, (content, arguments, part) in enumerate(cases):
            folder = self.folder / f'malformed-{number}'
            folder.mkdir()
            write_files(folder)
            if content is not None:
                (folder / 'mine.py').write_bytes(content if isinstance(content, bytes) else content.encode())
            before, log = files(folder), self.folder / f'malformed-{number}.log'
            os.chdir(folder)
            code = wait(start(arguments, log, 'convert'))
            os.chdir(self.folder)
            line = (read(log).splitlines() or [''])[-1]
            yield code == 2 and part in line and 'Traceback' not in read(log) and files(folder) == before

    def policies(self) -> Iterator[bool]:
        """Policy files of any size and content: a finite clip, or an error of under 1,000 characters, in 10 seconds."""
        path = self.folder / 'policy.json'
        for content, message in POLICIES.values():
            path.write_text(content())
            begin = time.monotonic()
            try:
                policy = load_policy(path)
                in_time = time.monotonic() - begin < 10
                yield in_time and message is None and bool(PolicyClip(policy)(torch.rand(1, 3, 8, 8)).isfinite().all())
            except PolicyError as error:
                yield message is not None and len(str(error)) < 1000 and time.monotonic() - begin < 10


def is_named(fault: DataFault, file: str, code: int, text: str, early: bool) -> bool:
    """Whether the output of a run names a fault and its file, in one line, and before the first step if it can."""
    if not fault.ends:
        return code == 0 and any(file in line and fault.says in line for line in text.splitlines())
    line = last_line(text)
    in_time = not early or '(train)' not in text
    return code != 0 and file in line and fault.says in line and 'Traceback' not in text and in_time


def last_line(text: str) -> str:
    """The last line of an output."""
    return (text.splitlines() or [''])[-1]


def write_classes(folder: Path) -> None:
    """Write ten images of two classes to train on and ten to validate on, with their lists."""
    numbers = np.random.default_rng(0)
    for split in ('train', 'val'):
        (folder / split).mkdir(parents=True)
        for number in range(10):
            cv2.imwrite(str(folder / split / f'{number}.png'), numbers.integers(0, 255, (32, 32, 3), np.uint8))
        (folder / f'{split}.txt').write_text('\n'.join(f'{split}/{number}.png {number % 2}' for number in range(10)))


# Options of a resumed run, its exit code, and a part of what it tells.
TRAININGS: dict[bool, list[tuple[list[str], int, str]]] = {
    False: [
        (['train_dataloader.batch_size=2'], 0, 'an iteration took 4 samples'),
        (['train_cfg.max_iters=14'], 0, 'train_cfg.max_iters was 12 and is 14. The schedulers go on'),
        (['train_cfg.max_iters=3'], 0, 'nothing is left to do'),
        (['optim_wrapper.optimizer.lr=0.5'], 0, '(now 0.5)'),
        (['train_dataloader.dataset.indices=10'], 0, 'the training set had 20 samples and has 10'),
        (['optim_wrapper.optimizer._delete_=True', 'optim_wrapper.optimizer.type=Adam'], 2, 'was AdamW and is Adam:'),
    ],
    True: [
        (['train_dataloader.batch_size=2'], 0, 'an iteration took 4 samples'),
        (['train_dataloader.batch_size=20'], 0, 'an iteration took 4 samples'),
        (['train_cfg.max_epochs=4'], 0, 'train_cfg.max_epochs was 3 and is 4. The schedulers go on'),
        (['train_dataloader.dataset.indices=10'], 0, 'the training set had 20 samples and has 10'),
    ],
}
SEARCH = ['train_cfg.max_iters=10', 'train_cfg.warmup_iters=2']
SEARCHES: list[tuple[list[str], int, str]] = [
    (['train_cfg.max_iters=12'], 0, 'length was 10 and is 12'),
    (['train_cfg.max_iters=4'], 2, 'the search has begun by another schedule: length was 10 and is 4'),
    (['train_cfg.warmup_iters=4'], 2, 'the search has begun by another schedule: warmup was 2 and is 4'),
    (['model.data_preprocessor.cell.num_nodes=2'], 2, 'num_nodes of the cell: 4 in the checkpoint, 2 now'),
    (['model.data_preprocessor.cell.space=large'], 2, 'operations of the cell'),
    (['train_dataloader.batch_size=2'], 0, 'an iteration took 4 samples'),
    (['train_dataloader.dataset.dataset.indices=10'], 2, 'the policy would be judged by what the weights saw'),
    (['optim_wrapper.weights.optimizer.type=Adagrad'], 2, 'optim_wrapper.weights.optimizer was AdamW and is Adagrad'),
]


@HOOKS.register_module()
class Lost(Hook):
    """Lets the second process sleep for ever, or kills it, in an iteration."""

    def __init__(self, by: str) -> None:
        self.by = by

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Write when, and do it."""
        if os.environ['RANK'] == '1' and runner.iter == 3:
            Path(f'{runner.work_dir}.time').write_text(str(time.time()))
            if self.by == 'kill':
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10**6)


class Harmless:
    """Makes a file while it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def start(arguments: list[str], log: Path, command: str) -> int:
    """Begin a command in a process of its own; its id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with log.open('a') as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        if command == 'data':
            sys.argv = ['digit_scenes.py', *arguments]
            path = ROOT / 'tools' / 'dataset_converters' / 'digit_scenes.py'
            exec(compile(path.read_text(), path, 'exec'), {'__name__': '__main__', '__file__': str(path)})
            code = 0
        else:
            code = run_command(command, arguments, f'mmdas {command}')
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # a command must end in one line
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int) -> int:
    """Exit code of a process."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def is_running(process: int) -> bool:
    """Whether a process has not ended."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def stop(process: int, which: signal.Signals) -> int:
    """Send a signal and wait; the exit code."""
    if is_running(process):
        os.kill(process, which)
    return wait(process)


def resources(process: int) -> tuple[int, int]:
    """Resident memory in pages, and open files, of a process."""
    try:
        pages = int(Path(f'/proc/{process}/statm').read_text().split()[1])
        return pages, len(os.listdir(f'/proc/{process}/fd'))
    except (FileNotFoundError, ProcessLookupError, IndexError):  # it has ended meanwhile
        return 1, 1


def final(work_dir: Path) -> dict:
    """Weights and optimiser's state that a run ended with."""
    content = newest_checkpoint(work_dir)[1]
    momenta = content['optimizer']['state']
    moments = {f'{key}.{name}': value for key, state in momenta.items() for name, value in state.items()}
    return {'weights': {**content['state_dict'], **{k: v for k, v in moments.items() if torch.is_tensor(v)}}}


def same_content(left: Path, right: Path) -> bool:
    """Whether two checkpoints have the same weights."""
    one, other = (torch.load(path, weights_only=True)['state_dict'] for path in (left, right))
    return all(torch.equal(value, other[key]) for key, value in one.items())


def read(path: Path) -> str:
    """Text of a file that may not be there."""
    return path.read_text(errors='replace') if path.exists() else ''


def newest_file(work_dir: Path) -> Path:
    """The newest checkpoint, whole or not."""
    return newest_checkpoint(work_dir)[0]


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Damage that changes the content of the newest checkpoint."""

    def damage(work_dir: Path) -> Path:
        path = newest_file(work_dir)
        path.write_bytes(change(path.read_bytes()))
        return work_dir

    return damage


def lose(pointer: str | None, rename: bool = False) -> Callable[[Path], Path]:
    """Damage by which the newest checkpoint is gone, the pointer holds something else or None, the folder moves."""

    def damage(work_dir: Path) -> Path:
        newest_file(work_dir).unlink()
        if pointer is None:
            (work_dir / 'last_checkpoint').unlink()
        else:
            (work_dir / 'last_checkpoint').write_text(pointer or (work_dir / 'last_checkpoint').read_text())
        return work_dir.rename(work_dir.with_name(f'{work_dir.name}-renamed')) if rename else work_dir

    return damage


DAMAGES: list[Callable[[Path], Path]] = [
    rewrite(lambda content: content[: len(content) // 2]),
    rewrite(lambda content: b''),
    rewrite(lambda content: b'{"no": "checkpoint"}'),
    lose(None),
    lose(' '),
    lose('/nowhere/iter_11.pth'),
    lose('', rename=True),
]
FAULTS = (
    *('kill', 'kill_while_writing', 'damaged', 'changed', 'signals', 'not_finite', 'code'),
    *('data', 'val_data', 'masks', 'copies', 'guard_cost', 'soak'),
    *('other_settings', 'lost', 'malformed', 'policies'),
)


def main() -> int:
    """Run the trials; 1 if one did not end as it must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('faults', nargs='*', metavar='FAULT', help=f'of {", ".join(FAULTS)} (default: all)')
    parser.add_argument('--count', type=int, default=20, help='times for faults with a random moment (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the moments (%(default)s)')
    parser.add_argument('--keep', type=Path, help='folder for data, runs and logs, which then stays')
    args = parser.parse_args()
    unknown = set(args.faults) - set(FAULTS)
    if unknown:
        parser.error(f'there is no fault {", ".join(sorted(unknown))}; there are {", ".join(FAULTS)}')
    torch.set_num_threads(1)
    import mmpretrain.models  # noqa: F401
    import mmseg.models  # noqa: F401

    all_right = True
    with TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        if args.keep:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True, parents=True)
        trials = Trials(folder.resolve(), args.count, args.seed)
        print('| fault | tried | right | seconds |\n| --- | --- | --- | --- |', flush=True)
        for fault in args.faults or FAULTS:
            begin = time.monotonic()
            method = getattr(trials, fault)
            results = list(method())
            all_right &= all(results)
            wrong = '' if all(results) else f' (wrong: {[n for n, result in enumerate(results) if not result]})'
            seconds = time.monotonic() - begin
            print(f'| {method.__doc__} | {len(results)} | {sum(results)}{wrong} | {seconds:.0f} |', flush=True)
    return 0 if all_right else 1


if __name__ == '__main__':
    sys.exit(main())
