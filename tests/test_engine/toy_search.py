"""Tiny searches with real runners, shared by the tests of the engine."""

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loader_workers import end_workers
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, DefaultScope
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.runner import Runner, find_latest_checkpoint
from pytest import MonkeyPatch

from mmdas.apis import build_runner
from mmdas.engine.utils import unwrap

NUM_FRAMES = 3
SIZE = 16
_run_numbers = itertools.count()

HOOKS = [
    dict(type='mmdas.LabelCheckHook'),
    dict(type='mmdas.SearchProgressHook'),
    dict(type='mmdas.PolicyHook', interval=1),
]


@MMENGINE_HOOKS.register_module()
class Interrupt(Hook):
    """Ends a run as Ctrl+C does."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


@DATASETS.register_module()
class ToyImages(BaseDataset):
    """Noise in memory with a bright upper or lower half, which is the label of the image and the map of the pixels."""

    METAINFO = {'classes': ('upper', 'lower'), 'palette': [[0, 0, 0], [255, 255, 255]]}

    def __init__(self, count: int = 8, seed: int = 0, first_label: int = 0, **kwargs) -> None:
        self.count, self.seed, self.first_label = count, seed, first_label
        super().__init__(serialize_data=False, **kwargs)  # serialising collects garbage, which takes long

    def load_data_list(self) -> list[dict]:
        return [self._sample(number, np.random.RandomState(1000 * self.seed + number)) for number in range(self.count)]

    def _sample(self, number: int, random: np.random.RandomState) -> dict:
        label = number % 2
        image = random.randint(0, 150, (SIZE, SIZE, 3)).astype(np.uint8)
        bright = np.zeros((SIZE, SIZE), np.uint8)
        bright[SIZE // 2 * label : SIZE // 2 * (label + 1)] = 1
        return {
            'img': image + 100 * bright[..., None],
            'img_path': f'{number}.png',
            'img_shape': (SIZE, SIZE),
            'ori_shape': (SIZE, SIZE),
            'gt_label': self.first_label + label,
            'gt_seg_map': bright,
            'seg_map_path': f'{number}_map.png',
            'seg_fields': ['gt_seg_map'],
        }


def loader(pack: str, batch_size: int = 2, shuffle: bool = True, sampler: str = 'DefaultSampler', **options) -> dict:
    """A loader of toy images that are flipped at random; `pack` is the last transform."""
    dataset = dict(type='ToyImages', pipeline=[dict(type='RandomFlip', prob=0.5), dict(type=pack)])
    dataset.update(options.pop('dataset', {}))
    collate = {'collate_fn': dict(type='default_collate')} if pack == 'PackInputs' else {}
    loading = dict(batch_size=batch_size, num_workers=0, sampler=dict(type=sampler, shuffle=shuffle), dataset=dataset)
    return {**loading, **collate, **options}


def cell_config(**options) -> dict:
    """A cell of two nodes (five edges) over operations with and without random draws."""
    defaults = dict(type='mmdas.DASCell', num_nodes=2, space=['identity', 'rotate', 'noise'])
    return {**defaults, **options}


def seg_model(cell: dict | None = None, **preprocessor) -> dict:
    """An FCN on two stages of a ResNet with four channels."""
    backbone = dict(
        type='ResNet',
        depth=18,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(0, 1),
        base_channels=4,
        stem_channels=4,
    )
    head = dict(type='FCNHead', in_channels=8, in_index=1, channels=4, num_convs=1, num_classes=2)
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='mmdas.DASSegDataPreProcessor',
            num_frames=NUM_FRAMES,
            cell=cell or cell_config(),
            mean=[128.0] * 3,
            std=[64.0] * 3,
            size=(SIZE, SIZE),
            **preprocessor,
        ),
        backbone=dict(
            type='mmdas.FrameFusionBackbone',
            num_frames=NUM_FRAMES,
            fusion=dict(type='mmdas.GateShift'),
            backbone=backbone,
        ),
        decode_head=dict(type='mmdas.TemporalPoolingHead', num_frames=NUM_FRAMES, head=head),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )


def cls_model(cell: dict | None = None, norm: dict | None = None, **preprocessor) -> dict:
    """A classifier on two stages of a CIFAR ResNet with four channels."""
    backbone = dict(
        type='ResNet_CIFAR',
        depth=18,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(1,),
        base_channels=4,
        stem_channels=4,
        norm_cfg=norm or dict(type='BN'),
    )
    head = dict(type='LinearClsHead', num_classes=2, in_channels=8, topk=(1,), cal_acc=True)
    return dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            type='mmdas.DASClsDataPreprocessor',
            num_frames=NUM_FRAMES,
            cell=cell or cell_config(),
            mean=[128.0] * 3,
            std=[64.0] * 3,
            num_classes=2,
            **preprocessor,
        ),
        backbone=dict(
            type='mmdas.FrameFusionBackbone',
            num_frames=NUM_FRAMES,
            fusion=dict(type='mmdas.TemporalShift', fraction=0.25),
            backbone=backbone,
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='mmdas.TemporalPoolingClsHead', num_frames=NUM_FRAMES, head=head),
    )


def optimizers(policy_lr: float = 0.05, **weights) -> dict:
    """Both optimisers, by default SGD with momentum and weight decay, and the paper's Adam."""
    defaults = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-2), clip_grad=dict(max_norm=5.0))
    return dict(
        constructor='mmdas.SearchOptimWrapperConstructor',
        weights={**defaults, **weights},
        policy=dict(optimizer=dict(type='Adam', lr=policy_lr, betas=(0.5, 0.999), weight_decay=1e-3)),
    )


def selection_config(**options) -> dict:
    return {**dict(type='mmdas.PerturbationSelection', num_batches=2, tune=1), **options}


def _search(work_dir: Path, by_epoch: bool, scope: str, **options) -> Config:
    checkpoint = dict(type='CheckpointHook', interval=1, by_epoch=by_epoch)
    config = dict(
        default_scope=scope,
        work_dir=str(work_dir),
        experiment_name=f'toy_{next(_run_numbers)}',  # equal names would share their message hub
        optim_wrapper=optimizers(),
        default_hooks=dict(checkpoint=checkpoint, logger=dict(type='LoggerHook', interval=1)),
        log_processor=dict(by_epoch=by_epoch),
        custom_hooks=HOOKS,
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        randomness=dict(seed=0),
    )
    return Config({**config, **options})


def iter_search(work_dir: Path, policy_loader: dict | None = None, train_cfg: dict | None = None, **options) -> Config:
    """A segmentation search that counts in iterations: 2 weights, 3 policy, then 6 decisions with one of tuning."""
    search = dict(
        type='mmdas.IterBasedSearchLoop',
        policy_dataloader=policy_loader or loader('PackSegInputs', dataset=dict(seed=1)),
        selection=selection_config(),
        max_iters=5,
        warmup_iters=2,
    )
    config = dict(
        model=seg_model(),
        train_dataloader=loader('PackSegInputs', sampler='InfiniteSampler'),
        train_cfg={**search, **(train_cfg or {})},
        param_scheduler=dict(weights=[dict(type='PolyLR', end=5, eta_min=0.02, by_epoch=False)], policy=[]),
    )
    return _search(work_dir, False, 'mmseg', **{**config, **options})


def epoch_search(work_dir: Path, policy_loader: dict | None = None, train_cfg: dict | None = None, **options) -> Config:
    """A classification search that counts in epochs of 3 batches: 1 weights, 2 policy, 6 decisions with 1 tuning."""
    count = dict(count=6)
    search = dict(
        type='mmdas.EpochBasedSearchLoop',
        policy_dataloader=policy_loader or loader('PackInputs', dataset=dict(seed=1)),
        selection=selection_config(),
        max_epochs=3,
        warmup_epochs=1,
    )
    config = dict(
        model=cls_model(),
        train_dataloader=loader('PackInputs', dataset=count),
        train_cfg={**search, **(train_cfg or {})},
        param_scheduler=dict(weights=[dict(type='MultiStepLR', milestones=[1, 4], by_epoch=True)], policy=[]),
    )
    return _search(work_dir, True, 'mmpretrain', **{**config, **options})


def run(config: Config, resume: Path | None = None, pictures: bool = False) -> Runner:
    """Train by a config, from the start or on from a checkpoint; a search draws pictures where a test wants them."""
    end_workers()  # of a run that failed
    if resume is not None:
        config.resume, config.load_from = True, str(resume)
    with quick_configs() as patch, DefaultScope.overwrite_default_scope(config.default_scope):  # and drop the runner's
        if not pictures:  # which take longer than the search
            patch.setattr('mmdas.engine.hooks.policy_hook.save_pictures', lambda *_: None)
        runner = build_runner(config)
        runner.train()
    return runner


def prepare(config: Config) -> Runner:
    """A runner that is about to start its search."""
    with DefaultScope.overwrite_default_scope(config.default_scope):
        runner = build_runner(config)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        assert runner.train_loop.iter == 0  # the loop is built on its first use
        runner.model.train()
    return runner


@contextmanager
def quick_configs() -> Iterator[MonkeyPatch]:
    """Do not format the config, which every checkpoint holds as text: it takes longer than a tiny search."""
    with MonkeyPatch.context() as patch:
        patch.setattr(Config, 'pretty_text', property(lambda config: repr(config.to_dict())))
        yield patch


def read_policy(runner: Runner) -> dict:
    """Content of the policy file of a search, without what no two searches share."""
    content = json.loads(Path(runner.work_dir, 'policy.json').read_text())
    for name in ('config', 'date', 'search_cost'):
        del content['origin'][name]
    return content


def read_log(runner: Runner) -> str:
    """What a run has logged."""
    return Path(runner.log_dir, f'{runner.timestamp}.log').read_text()


def final_state(runner: Runner) -> dict:
    """All that a search ends with."""
    schedulers = {name: [s.state_dict() for s in group] for name, group in runner.param_schedulers.items()}
    return {
        'iterations': (runner.iter, runner.epoch),
        'model': unwrap(runner.model).state_dict(),
        'optimizers': runner.optim_wrapper.state_dict(),
        'schedulers': schedulers,
        'random': torch.load(find_latest_checkpoint(runner.work_dir), weights_only=False)['random_states'],
        'policy': read_policy(runner),
    }


def differences(left: Any, right: Any, path: str = '') -> list[str]:
    """Paths within nested containers where two states are not exactly equal."""
    if isinstance(left, torch.Tensor):
        return [] if torch.equal(left, right) else [path]
    if isinstance(left, (list, tuple)):
        left, right = dict(enumerate(left)), dict(enumerate(right))
    if not isinstance(left, Mapping):
        return [] if left == right else [path]
    if set(left) != set(right):
        return [f'{path}: keys']
    return [place for key in left for place in differences(left[key], right[key], f'{path}.{key}')]
