"""Trainings with regularised features: what the model keeps, and what resumes."""

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS, DefaultScope
from toy_search import Interrupt, _search, cls_model, differences, epoch_search, loader, prepare, run, seg_model

from mmdas.engine.hooks import FeatureHook
from mmdas.models.features import FeatureError

ADL = dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.ADL'))
BLOCKS = dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.DropBlock', rate=0.3, block_size=3))
STYLES = dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.MixStyle', probability=1.0), sites=['layer1'])
TOOLBOXES = ('mmpretrain', 'mmseg')
each_toolbox = pytest.mark.parametrize('toolbox', TOOLBOXES)


@HOOKS.register_module()
class Watch(Hook):
    """Keeps what a test wants to see of a training while it runs."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.hooks = [name for name, module in runner.model.named_modules() if module._forward_hooks]
        self.keys = list(runner.model.state_dict())
        self.optimised = sum(len(group['params']) for group in runner.optim_wrapper.param_groups)


def toy_model(toolbox: str, das: bool = False) -> dict:
    """A tiny model, plain or of three equal frames."""
    model = seg_model() if toolbox == 'mmseg' else cls_model()
    own = model['data_preprocessor']
    own.pop('cell')
    if not das:
        own.pop('num_frames')
        own['type'] = 'SegDataPreProcessor' if toolbox == 'mmseg' else 'ClsDataPreprocessor'
        head = 'decode_head' if toolbox == 'mmseg' else 'head'
        model['backbone'], model[head] = model['backbone']['backbone'], model[head]['head']
    return model


def training(work_dir: Path, toolbox: str, *hooks: dict, iters: int = 4, das: bool = False, **options):
    """A few steps of a toy model with batches of four, and validations."""
    pack = 'PackSegInputs' if toolbox == 'mmseg' else 'PackInputs'
    defaults = dict(
        model=toy_model(toolbox, das),
        train_dataloader=loader(pack, batch_size=4, sampler='InfiniteSampler'),
        train_cfg=dict(by_epoch=False, max_iters=iters, val_interval=2),
        val_dataloader=loader(pack, shuffle=False, dataset=dict(pipeline=[dict(type=pack)])),
        val_evaluator=dict(type='IoUMetric') if toolbox == 'mmseg' else dict(type='Accuracy'),
        val_cfg={},
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9), accumulative_counts=2),
        custom_hooks=list(hooks),
    )
    return _search(work_dir, False, toolbox, **{**defaults, **options})


def newest(runner) -> dict:
    return torch.load(Path(runner.work_dir, f'iter_{runner.iter}.pth'), weights_only=True)


@each_toolbox
def test_a_regularised_model_is_the_plain_one_before_and_after(tmp_path, toolbox):
    runner = run(training(tmp_path / 'run', toolbox, ADL, BLOCKS, STYLES, dict(type='Watch')))
    alone = run(training(tmp_path / 'alone', toolbox, dict(type='Watch')))
    watch, other = (next(hook for hook in r.hooks if isinstance(hook, Watch)) for r in (runner, alone))
    assert watch.hooks == ['backbone.layer1', 'backbone.layer2']
    assert (watch.keys, watch.optimised) == (other.keys, other.optimised)
    assert not any(module._forward_hooks for module in runner.model.modules())
    assert list(newest(runner)['state_dict']) == list(newest(alone)['state_dict'])
    assert differences(newest(runner)['state_dict'], newest(alone)['state_dict'])  # it has learned something else
    with DefaultScope.overwrite_default_scope(toolbox):
        plain = MODELS.build(toy_model(toolbox))
    plain.load_state_dict(newest(runner)['state_dict'])
    images = torch.randn(2, 3, 16, 16)
    predictions = [model.eval()(images, mode='tensor') for model in (plain, runner.model)]
    assert torch.equal(*predictions)


def test_validation_of_a_training_sees_no_regulariser(tmp_path):
    """With weights that stay, each validation gives what a test of them gives."""
    still = dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)))
    model = toy_model('mmpretrain')
    model['backbone']['norm_cfg'] = dict(type='GN', num_groups=2)  # has no statistics of the training
    scores = []
    for hooks in ([BLOCKS, ADL, STYLES], []):
        runner = run(training(tmp_path / str(len(hooks)), 'mmpretrain', *hooks, model=copy.deepcopy(model), **still))
        lines = [json.loads(line) for path in Path(runner.log_dir).rglob('scalars.json') for line in path.open()]
        scores.append([line['accuracy/top1'] for line in lines if 'accuracy/top1' in line])
    assert len(scores[0]) == 2
    assert scores[0] == scores[1]


@each_toolbox
@pytest.mark.parametrize('das', [False, True])
@pytest.mark.slow
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, toolbox, das):
    hooks = [ADL, BLOCKS, STYLES, dict(type='EMAHook', momentum=0.1)]
    whole = run(training(tmp_path / 'whole', toolbox, *hooks, iters=6, das=das))
    with pytest.raises(KeyboardInterrupt):
        interrupt = dict(type='Interrupt', iteration=3)  # between two steps of the optimiser
        run(training(tmp_path / 'parts', toolbox, *hooks, interrupt, iters=6, das=das))
    assert Interrupt.__name__ == interrupt['type']
    parts = training(tmp_path / 'parts', toolbox, *hooks, iters=6, das=das)
    resumed = run(parts, tmp_path / 'parts' / 'iter_3.pth')
    left, right = newest(whole), newest(resumed)
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'random_states'):
        assert differences(left[key], right[key]) == []


def test_a_regulariser_that_changes_nothing_leaves_a_training_bit_for_bit(tmp_path):
    """It is looked for sites, and draws no number that something else would have drawn."""
    idle = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.DropBlock', rate=0.0), sites=[-1])]
    states = [run(training(tmp_path / str(len(hooks)), 'mmseg', *hooks)).model.state_dict() for hooks in (idle, [])]
    assert differences(*map(dict, states)) == []


def test_the_log_names_the_regulariser_and_its_sites(tmp_path):
    runner = run(training(tmp_path, 'mmpretrain', BLOCKS, iters=2))
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'DropBlock(rate=0.3, block_size=3, ramp=1.0) acts on layer1, layer2 of the backbone in training' in log


def test_a_run_that_resumes_with_other_regularisers_says_so(tmp_path):
    runner = run(training(tmp_path, 'mmpretrain', ADL, iters=2))
    logs = []
    for hooks in ([ADL], [BLOCKS]):
        resumed = run(training(tmp_path, 'mmpretrain', *hooks, iters=3), tmp_path / f'iter_{runner.iter}.pth')
        logs.append(Path(resumed.log_dir, f'{resumed.timestamp}.log').read_text())
    text = (
        'regularisers of features were ADL(drop_rate=0.75, threshold=0.8) at its stages, and are DropBlock(rate=0.3, '
    )
    assert [text in log for log in logs] == [False, True]
    assert 'regularisers of features' not in logs[0]


def test_a_search_is_refused(tmp_path):
    runner = prepare(epoch_search(tmp_path))
    with pytest.raises(FeatureError, match='selection of a search compares losses'):
        FeatureHook(dict(type='mmdas.ADL')).before_train(runner)


def test_a_site_that_is_not_there_ends_the_run_before_it_begins(tmp_path):
    hook = dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.ADL'), sites=['layer3'])
    with pytest.raises(FeatureError, match=r'ResNet_CIFAR\.layer3 is no module that it calls; did you mean layer'):
        run(training(tmp_path, 'mmpretrain', hook))


def test_what_is_no_regulariser_or_no_list_of_sites_is_refused():
    for feature in (
        dict(type='mmdas.DropBlok'),
        dict(type='mmdas.DropBlock', rate='high'),
        dict(type='mmdas.ADL', x=1),
    ):
        with pytest.raises(FeatureError, match=r'^feature of mmdas\.FeatureHook: '):
            FeatureHook(feature)
    with pytest.raises(FeatureError, match=r'feature of mmdas\.FeatureHook is a ReLU; give mmdas\.ADL, '):
        FeatureHook(torch.nn.ReLU())
    with pytest.raises(FeatureError, match=r"sites of mmdas\.FeatureHook is 'layer1', expected a list"):
        FeatureHook(dict(type='mmdas.ADL'), sites='layer1')
