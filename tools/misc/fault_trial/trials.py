"""Data, configs and runs that all faults share."""

import random
import signal
import time
from itertools import product
from pathlib import Path

import torch
from processes import ROOT, is_running, read, start, stop, wait

from mmdas.engine.checkpoints import newest_checkpoint

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
model = dict(
    backbone=dict(base_channels=4, stem_channels=4),
    decode_head=dict(in_channels=16, channels=16, dropout_ratio=0.1),
)
train_dataloader = dict(batch_size=4, num_workers={workers}, persistent_workers={workers} > 0,
    sampler=dict(type='{sampler}', shuffle=True), dataset=dict(data_root={data!r}, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root={data!r}))
test_dataloader = dict(dataset=dict(data_root={data!r}))
train_cfg = dict(_delete_=True, {loop})
default_hooks = dict(checkpoint=dict(interval=1, by_epoch={by_epoch}, max_keep_ckpts=1), logger=dict(interval=1))
log_processor = dict(by_epoch={by_epoch})
"""


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

    def stopped(self, config: Path, name: str, command: str = 'train', *options: str) -> Path:
        """Folder of a run that was stopped by a signal in the middle."""
        work_dir = self.folder / name
        process = self.train(config, work_dir, '--cfg-options', 'randomness.seed=0', *options, command=command)
        while '6/' not in read(work_dir.with_suffix('.log')) and is_running(process):
            time.sleep(0.02)
        stop(process, signal.SIGTERM)
        return work_dir


def final(work_dir: Path) -> dict:
    """Weights and optimiser's state that a run ended with."""
    content = newest_checkpoint(work_dir)[1]
    momenta = content['optimizer']['state']
    moments = {f'{key}.{name}': value for key, state in momenta.items() for name, value in state.items()}
    return {'weights': {**content['state_dict'], **{k: v for k, v in moments.items() if torch.is_tensor(v)}}}
