"""Options of the command line that nothing would read are told apart from those that something does."""

import logging
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdas.apis import add_das, load_config
from mmdas.apis.config_options import check_options

SEG = dict(
    max_iters=8,
    interval=7,  # of something else than the checkpoints
    pipeline=[dict(type='A'), dict(type='B')],
    crop_size=(4, 4),
    palette=dict(a=1),
    model=dict(data_preprocessor=dict(num_frames=4, size=(4, 4)), test_cfg=dict(mode='whole')),
    data_preprocessor=dict(type='Plain'),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=8, val_interval=8),
    train_dataloader=dict(batch_size=2, dataset=dict(pipeline=[dict(type='A'), dict(type='B')])),
    param_scheduler=[dict(type='PolyLR', end=8)],
    default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
    optim_wrapper=dict(optimizer=dict(lr=0.1)),
)


@pytest.fixture
def warned(monkeypatch) -> list[str]:
    messages = []

    def keep(message, logger, level):
        assert level == logging.WARNING
        messages.append(message)

    monkeypatch.setattr('mmdas.apis.config_options.print_log', keep)
    return messages


@pytest.mark.parametrize(
    'option',
    [
        'train_cfg.max_iters',
        'train_cfg.val_begin',
        'default_hooks.checkpoint.max_keep_ckpts',
        'default_hooks.early_stopping.patience',
        'param_scheduler.0.end',
        'param_scheduler.1.type',
        'optim_wrapper.optimizer.weight_decay',
        'optim_wrapper.clip_grad.max_norm',
        'model.data_preprocessor.policy',
        'model.test_cfg.stride',
        'load_from',
        'resume',
        'randomness.seed',
        'env_cfg.mp_cfg.mp_start_method',
        'visualizer.vis_backends',
        'num_frames',
        'custom_hooks',
        'tta_pipeline.0.type',
        'find_unused_parameters',
    ],
)
def test_what_something_reads_passes_silently(option: str, warned):
    check_options(Config(SEG), {option: 1})
    assert warned == []


@pytest.mark.parametrize(
    ('option', 'right'),
    [
        ('max_iters', r'set train_cfg\.max_iters$'),
        ('pipeline.0.type', r'set train_dataloader\.dataset\.pipeline$'),
        ('crop_size', r'set model\.data_preprocessor\.size$'),
        ('optim_wraper.optimizer.lr', r'did you mean optim_wrapper\.optimizer\.lr\?'),
        ('train_config.max_iters', r'did you mean train_cfg\.max_iters\?'),
        ('loadfrom', r'did you mean load_from\?'),
        ('data_preprocessor.policy', r'set model\.data_preprocessor\.policy$'),
        ('data_preprocessor.size', r'set model\.data_preprocessor\.size$'),
    ],
)
def test_what_has_no_effect_is_an_error_with_the_right_key(option: str, right: str, warned):
    with pytest.raises(ValueError, match=f'{option} has no effect.*{right}'):
        check_options(Config(SEG), {option: 1})


@pytest.mark.parametrize(
    ('option', 'right'),
    [
        ('train_cfg.max_iter', 'train_cfg.max_iter is new in this config; did you mean train_cfg.max_iters?'),
        ('train_dataloader.batchsize', 'did you mean train_dataloader.batch_size?'),
        ('default_hooks.chekpoint.interval', 'did you mean default_hooks.checkpoint?'),
        ('param_scheduler.0.ends', 'did you mean param_scheduler.0.end?'),
        ('interval', 'unless code of your own reads interval'),
        ('palette.a', 'unless code of your own reads palette'),
        ('my_flag', 'unless code of your own reads my_flag'),
    ],
)
def test_what_may_have_no_effect_is_a_warning(option: str, right: str, warned):
    check_options(Config(SEG), {option: 1})
    assert len(warned) == 1
    assert right in warned[0]


def test_a_variable_may_be_set_together_with_one_of_its_places(warned):
    check_options(Config(SEG), {'max_iters': 4, 'train_cfg.max_iters': 4})
    assert warned == []


def test_preprocessor_at_the_top_is_named_where_the_model_has_none():
    cfg = Config(dict(data_preprocessor=dict(num_frames=4), model=dict(type='ImageClassifier')))
    check_options(cfg, {'data_preprocessor.policy': 'p.json'})
    with pytest.raises(ValueError, match=r'set data_preprocessor\.policy$'):
        check_options(cfg, {'model.data_preprocessor.policy': 'p.json'})


def test_variable_of_a_generated_search_is_refused_with_its_place(tmp_path: Path):
    search = add_das('fcn_r50-d8_4xb2-40k_cityscapes-512x1024', tmp_path)[1]
    with pytest.raises(ValueError, match=r'max_iters has no effect.*set train_cfg\.max_iters'):
        load_config(search, cfg_options={'max_iters': 40})
    assert load_config(search, cfg_options={'train_cfg.max_iters': 40}).train_cfg.max_iters == 40
