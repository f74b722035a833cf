"""A toolbox of one's own: one call, and its configs are converted, checked and trained."""

import pytest
import torch
import toybox
from mmengine.config import Config

from mmdas.apis import ConversionError, DASOptions, build_runner, check_conversion, convert
from mmdas.hosts import Host, find_host, host_scopes, known, register_host


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, '_HOSTS', dict(known._HOSTS))
    register_host(toybox.HOST)


def plain_config(work_dir='', **dataset) -> Config:
    model = dict(
        type='DotFinder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[127.0] * 3, std=[60.0] * 3, size=toybox.SIZE),
        backbone=dict(type='TinyNet'),
        dot_head=dict(type='DotHead'),
    )
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(type='Dots', **dataset),
        sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    return Config(
        dict(
            default_scope='toybox',
            model=model,
            train_dataloader=loader,
            train_cfg=dict(by_epoch=False, max_iters=1),
            optim_wrapper=dict(type='mmengine.OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
            work_dir=str(work_dir),
        )
    )


def converted(method='repeat', **options) -> Config:
    return convert(plain_config(**options), method, DASOptions(2, 'tsm', sites=('second',)))


def test_config_of_a_registered_toolbox_is_converted(registered):
    cfg = converted()
    assert cfg.model.data_preprocessor.type == 'mmdas.DASSegDataPreProcessor'
    assert cfg.model.backbone.type == 'mmdas.FrameFusionBackbone'
    assert cfg.model.dot_head.type == 'toybox.PooledDotHead'
    assert cfg.model.dot_head.head == dict(type='DotHead')
    assert cfg.model.type == 'DotFinder'
    check_conversion(cfg)


def test_step_of_a_converted_config_trains_backbone_and_head(registered, tmp_path):
    cfg = converted(work_dir=tmp_path)
    cfg.work_dir = str(tmp_path)
    runner = build_runner(cfg)
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.train()
    assert runner.model.backbone.fusion['second'].num_frames == 2
    changed = {name for name, value in runner.model.named_parameters() if not torch.equal(value, before[name])}
    assert {'backbone.second.weight', 'dot_head.conv.weight'} <= changed


def test_labels_of_a_registered_toolbox_are_checked(registered, tmp_path):
    cfg = converted(label=9)
    cfg.work_dir = str(tmp_path)
    with pytest.raises(ValueError, match=r'labels \[9\] of 0.png lie outside the 2 classes'):
        build_runner(cfg).train()


def test_plain_head_in_a_place_of_the_toolbox_is_named(registered):
    cfg = converted()
    cfg.model.dot_head = dict(type='DotHead')
    with pytest.raises(ValueError, match=r'dot_head is a plain DotHead.* wrap it in toybox\.PooledDotHead'):
        build_runner(cfg)


def test_scope_that_nobody_registered_is_refused_with_those_known():
    with pytest.raises(ConversionError, match="'toybox'; DAS extends configs of mmseg and mmpretrain"):
        converted()
    assert find_host('toybox') == Host('toybox')


def test_second_host_of_a_scope_is_refused(registered):
    register_host(toybox.HOST)  # as when its module is imported again
    with pytest.raises(ValueError, match="there is a host of the scope 'mmseg'"):
        register_host(Host('mmseg'))
    assert host_scopes() == ('mmseg', 'mmpretrain', 'toybox')
