"""Tiny trainings with real runners, which end where a test wants it."""

import signal
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_search import _search, cls_model, loader, seg_model

from mmdas.engine.checkpoints import newest_checkpoint
from mmdas.registry import HOOKS


@HOOKS.register_module()
class InterruptHook(Hook):
    """End a run after an iteration: by an error, as a crash does, or by a signal that the process gets."""

    priority = 'NORMAL'

    def __init__(self, after: int, by: str = 'crash') -> None:
        self.after = after
        self.by = by

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.after:
            if self.by == 'crash':
                raise ConnectionError('crash')
            signal.raise_signal(getattr(signal, self.by))


def training(work_dir: Path, by_epoch: bool, workers: int, *hooks: dict, **options) -> Config:
    """Ten iterations with dropout, random flips, EMA and validation; in epochs, five of three with one batch of one."""
    pack = 'PackInputs' if by_epoch else 'PackSegInputs'
    model = cls_model() if by_epoch else seg_model()
    model['data_preprocessor'].update(cell=None)
    if by_epoch:
        head = dict(type='StackedLinearClsHead', num_classes=2, in_channels=8, mid_channels=[4], dropout_rate=0.3)
        model['head']['head'] = head
        loop = dict(by_epoch=True, max_epochs=3, val_interval=1)
    else:
        model['decode_head']['head'].update(dropout_ratio=0.3)
        loop = dict(type='IterBasedTrainLoop', max_iters=10, val_interval=4)
    loading = dict(num_workers=workers, persistent_workers=workers > 0)
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    checkpoint = dict(type='CheckpointHook', interval=1 if by_epoch else 4, by_epoch=by_epoch, max_keep_ckpts=1)
    cfg = _search(
        work_dir,
        by_epoch,
        'mmpretrain' if by_epoch else 'mmseg',
        model=model,
        train_dataloader=loader(pack, sampler=sampler, dataset=dict(count=7), **loading),
        train_cfg=loop,
        val_dataloader=loader(pack, shuffle=False, dataset=dict(count=2)),
        val_cfg={},
        val_evaluator=dict(type='Accuracy') if by_epoch else dict(type='IoUMetric'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9)),
        custom_hooks=[dict(type='EMAHook', momentum=0.1), *hooks],
        **options,
    )
    cfg.default_hooks.checkpoint = checkpoint
    return cfg


def state(runner: Runner) -> dict:
    content = newest_checkpoint(runner.work_dir)[1]
    return {key: content[key] for key in ('state_dict', 'ema_state_dict', 'optimizer', 'random_states')}
