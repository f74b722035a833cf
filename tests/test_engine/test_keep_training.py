"""KeepAugment on models of both toolboxes: the saliency, the traces that it leaves, and trainings that resume."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dist import barrier, get_rank
from mmengine.registry import DATASETS, MODELS, DefaultScope
from toy_search import (
    HOOKS,
    SIZE,
    ToyImages,
    cls_model,
    differences,
    final_state,
    iter_search,
    loader,
    run,
    seg_model,
)
from toy_training import state, training
from two_processes import in_two_processes, process_variables

from mmdas.apis import end_processes
from mmdas.augment import KeepCutout
from mmdas.augment.keep import EarlySaliency, NetworkSaliency
from mmdas.augment.keep.network import Network
from mmdas.engine.checkpoints import newest_checkpoint
from mmdas.engine.utils import unwrap
from mmdas.search.augmentation import AugmentPolicy, Choice, Stage, SubPolicy
from mmdas.search.das import Policy

TOOLBOXES = ('mmpretrain', 'mmseg')
TURN = AugmentPolicy((SubPolicy((Stage((Choice('rotate', (0, 30)),), 1),)),))
SHARED = Policy.random(2, seed=3).to_dict()
CASES = [(toolbox, frames) for toolbox in TOOLBOXES for frames in (1, 2)]
each_case = pytest.mark.parametrize(('toolbox', 'frames'), CASES)
each_toolbox = pytest.mark.parametrize('toolbox', TOOLBOXES)


@DATASETS.register_module()
class BrightOrDark(ToyImages):
    """Images of noise whose brightness is their label, which a mean over positions tells."""

    def _sample(self, number: int, random: np.random.RandomState) -> dict:
        found = super()._sample(number, random)
        noise = random.randint(0, 150, (SIZE, SIZE, 3))
        return {**found, 'img': (noise + 100 * (number % 2)).astype(np.uint8)}


def with_frames(model: dict, frames: int) -> dict:
    """The toy model as a plain one, or with a policy of two frames."""
    own = model['data_preprocessor']
    place = 'decode_head' if 'decode_head' in model else 'head'
    own.update(cell=None, num_frames=frames)
    if frames == 1:
        model['backbone'], model[place] = model['backbone']['backbone'], model[place]['head']
        return model
    own['policy'] = SHARED
    for part in (own, model['backbone'], model[place]):
        part['num_frames'] = frames
    return model


def build(toolbox: str, frames: int, **options):
    """A model that has seen a few batches, and a batch for it."""
    config = with_frames(seg_model() if toolbox == 'mmseg' else cls_model(), frames)
    target = config['backbone'].get('backbone', config['backbone'])
    target.update(options)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(toolbox):
        model = MODELS.build(config).train()
        dataset = torch.utils.data.DataLoader(toy_samples(toolbox), batch_size=8, collate_fn=list)
        packed = next(iter(dataset))
    data = {key: [sample[key] for sample in packed] for key in ('inputs', 'data_samples')}
    batch = model.data_preprocessor(data, True)
    images = torch.stack([sample['inputs'] for sample in packed]).float().sub(128).div(64)
    for _ in range(3):  # so that the norms have statistics
        model(batch['inputs'], batch['data_samples'], mode='loss')
    return model, images, batch['data_samples']


def toy_samples(toolbox: str):
    pack = 'PackSegInputs' if toolbox == 'mmseg' else 'PackInputs'
    return DATASETS.build(dict(type='ToyImages', pipeline=[dict(type=pack)]))


def slow_saliency(model, images, samples, shrink=None):
    """The derivative of the labels' logits, image by image, with a model that is put into evaluation mode."""
    model = copy.deepcopy(model).eval()
    found = []
    for place, sample in enumerate(samples):
        image = images[place : place + 1].clone().requires_grad_()
        seen = model.data_preprocessor.to_inputs(image if shrink is None else shrink(image))
        logits = model(seen, [sample], mode='tensor')
        if logits.ndim == 2:
            score = logits[0, int(sample.gt_label)]
        else:
            labels = F.interpolate(sample.gt_sem_seg.data[None].float(), logits.shape[-2:], mode='nearest-exact')
            score = logits.gather(1, labels.long()).sum()
        score.backward()
        found.append(image.grad.abs().amax(1))
    return torch.cat(found)


def traces(model) -> dict:
    """All that a look at a batch must leave as it is."""
    return {
        'state': copy.deepcopy(dict(model.state_dict())),
        'modes': [module.training for module in model.modules()],
        'hooks': [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        'gradients': [parameter.grad is None for parameter in model.parameters()],
        'random': torch.get_rng_state(),
        'with_cp': [getattr(module, 'with_cp', None) for module in model.modules()],
    }


@each_case
def test_saliency_is_the_derivative_of_the_labels_logits(toolbox, frames):
    model, images, samples = build(toolbox, frames)
    source = NetworkSaliency()
    source.use_model(model)
    expected = slow_saliency(model, images, samples)
    torch.testing.assert_close(source(images, samples), expected, rtol=1e-4, atol=1e-6)
    assert (expected.flatten(1).std(1) > 0).all()


@each_toolbox
def test_low_saliency_is_that_of_the_halved_image(toolbox):
    model, images, samples = build(toolbox, 1)
    source = NetworkSaliency(resolution=0.5)
    source.use_model(model)
    expected = slow_saliency(model, images, samples, shrink=lambda image: F.avg_pool2d(image, 2))
    torch.testing.assert_close(source(images, samples), expected, rtol=1e-4, atol=1e-6)


@each_case
@pytest.mark.parametrize('source', [NetworkSaliency(), NetworkSaliency(resolution=0.5), EarlySaliency()])
def test_a_look_leaves_no_trace(toolbox, frames, source):
    model, images, samples = build(toolbox, frames)
    next(module for module in model.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)).eval()  # frozen
    source.use_model(model)
    before = traces(model)
    source(images, samples)
    assert differences(traces(model), before) == []


def test_activations_that_are_recomputed_give_the_same():
    model, images, samples = build('mmseg', 1, with_cp=True)
    assert any(getattr(module, 'with_cp', False) for module in model.modules())
    source = NetworkSaliency()
    source.use_model(model)
    before = traces(model)
    found = source(images, samples)
    assert differences(traces(model), before) == []
    for module in model.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp = False
    torch.testing.assert_close(found, slow_saliency(model, images, samples), rtol=1e-4, atol=1e-6)


@each_toolbox
def test_training_step_under_autocast_is_the_same_after_a_look(toolbox):
    gradients = []
    for look in (False, True):
        model, images, samples = build(toolbox, 1)
        source = NetworkSaliency()
        source.use_model(model)
        with torch.autocast('cpu', torch.bfloat16):
            if look:
                source(images, samples)
            losses = model(model.data_preprocessor.to_inputs(images), samples, mode='loss')
        model.parse_losses(losses)[0].backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert differences(*gradients) == []


@each_case
def test_early_saliency_is_the_derivative_of_its_head(toolbox, frames):
    model, images, samples = build(toolbox, frames)
    source = EarlySaliency(lr=0.01)
    source.use_model(model)
    assert not source(images, samples).any()  # the head starts at zero
    source(images, samples)
    head = copy.deepcopy(source.head)
    model_then = copy.deepcopy(model).eval()
    leaf = images.clone().requires_grad_()
    features = []
    handle = model_then.backbone.layer1.register_forward_hook(lambda module, inputs, output: features.append(output))
    model_then(model_then.data_preprocessor.to_inputs(leaf), samples, mode='tensor')
    handle.remove()
    seen = features[0].view(len(images), frames, *features[0].shape[1:])
    if toolbox == 'mmseg':  # at each position of the reference frame
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in samples])
        stride = labels.shape[-1] // seen.shape[-1]
        labels = labels[:, stride // 2 :: stride, stride // 2 :: stride].flatten(1)
        logits = torch.einsum('kc,bcp->bpk', head.weight, seen[:, frames // 2].flatten(2)) + head.bias
        score = logits.gather(2, labels[..., None]).sum()
    else:
        labels = torch.cat([sample.gt_label for sample in samples])
        score = (seen.mean((1, 3, 4)) @ head.weight.T + head.bias).gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, leaf)
    torch.testing.assert_close(source(images, samples), gradient.abs().amax(1), rtol=1e-4, atol=1e-7)


def test_what_comes_after_the_stage_is_not_computed():
    model, images, samples = build('mmseg', 1)
    for part in (model.backbone.layer2, model.decode_head):
        part.forward = None  # which cannot be called
    Network(model).features(images, samples)
    assert Network(model).features(images, samples, 'conv1').shape[1] == 4


@pytest.mark.slow
def test_early_head_learns_what_the_stage_tells():
    model, images, samples = build('mmseg', 1)
    source = EarlySaliency(lr=0.05)
    source.use_model(model)
    for _ in range(150):
        source(images, samples)
    features = Network(model).features(images, samples)
    predicted = torch.einsum('kc,bchw->bkhw', source.head.weight, features) + source.head.bias[:, None, None]
    labels = torch.stack([sample.gt_sem_seg.data for sample in samples])[..., 2::4, 2::4]
    assert predicted.shape[-2:] == labels.shape[-2:]
    assert (predicted.argmax(1, keepdim=True) == labels).float().mean() > 0.8


def test_early_head_comes_back_from_its_state():
    model, images, samples = build('mmseg', 1)
    first, second = EarlySaliency(), EarlySaliency()
    for source in (first, second):
        source.use_model(model)
    assert first.state_dict() == {}
    first(images, samples)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for source in (first, second):
        source(images, samples)
    assert differences(second.state_dict(), first.state_dict()) == []
    assert first.head.weight.any()


class TestErrors:
    def test_stage_that_is_not_there(self):
        model, *_ = build('mmseg', 1)
        with pytest.raises(ValueError, match=r"backbone has no stage 'layer9'; its parts are .*'layer1'"):
            EarlySaliency(stage='layer9').use_model(model)

    def test_backbone_without_a_known_stage(self):
        model, images, samples = build('mmseg', 1)
        model.backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
        source = EarlySaliency()
        source.use_model(model)
        with pytest.raises(ValueError, match=r"Sequential has no part named layer1, .* its parts \['0'\] by saliency="):
            source(images, samples)

    def test_stage_that_is_not_called(self):
        model, images, samples = build('mmseg', 1)
        model.backbone.add_module('spare', torch.nn.Conv2d(3, 3, 1))
        with pytest.raises(ValueError, match='backbone.spare is not called'):
            Network(model).features(images, samples, 'spare')

    def test_stage_that_gives_no_maps(self):
        model, images, samples = build('mmpretrain', 1)
        model.backbone.layer1.append(torch.nn.Flatten())
        source = EarlySaliency()
        source.use_model(model)
        with pytest.raises(ValueError, match=r'the stage gives \(8, \d+\) for 8 images, expected \(B, C, h, w\)'):
            source(images, samples)


def keeping(folder: Path, by_epoch: bool, *hooks: dict, steps: list[dict] | None = None, frames: int = 2, **options):
    """A toy training with steps of KeepAugment, by default KeepCutout with an early head."""
    cfg = training(folder, by_epoch, 0, *hooks, **options)
    model = with_frames(cls_model() if by_epoch else seg_model(), frames)
    model['data_preprocessor']['augments'] = steps or [dict(type='mmdas.KeepCutout', saliency='early')]
    if by_epoch:
        head = model['head'].get('head', model['head'])
        head['cal_acc'] = False
    cfg.model = model
    return cfg


def whole_state(runner) -> dict:
    return {**state(runner), 'augments': newest_checkpoint(runner.work_dir)[1]['augments']}


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_a_training_with_an_early_head_resumes_exactly(tmp_path, by_epoch):
    steps = [
        dict(type='mmdas.KeepCutout', saliency='early', probability=0.4),
        dict(type='mmdas.KeepCutMix', saliency='low'),
    ]
    whole = run(keeping(tmp_path / 'whole', by_epoch, steps=steps))
    with pytest.raises(ConnectionError):
        run(keeping(tmp_path / 'parts', by_epoch, dict(type='mmdas.InterruptHook', after=6), steps=steps))
    checkpoint, _ = newest_checkpoint(tmp_path / 'parts')
    resumed = run(keeping(tmp_path / 'parts', by_epoch, steps=steps), resume=checkpoint)
    expected = whole_state(whole)
    assert differences(whole_state(resumed), expected) == []
    assert list(expected['augments']) == ['0']
    assert expected['augments']['0']['head']['weight'].any()
    # the head is no part of the model: neither of its weights, nor of its optimiser
    model = unwrap(whole.model)
    assert set(expected['state_dict']) == set(model.state_dict())
    own = {id(parameter) for parameter in model.data_preprocessor.augments.steps[0].source.head.parameters()}
    assert not own & {id(parameter) for parameter in model.parameters()}


@pytest.mark.slow
def test_a_search_with_an_early_head_resumes_exactly(tmp_path):
    def search(folder: Path, *hooks: dict):
        model = seg_model(augments=[dict(type='mmdas.KeepCutout', saliency='early')])
        return iter_search(tmp_path / folder, model=model, custom_hooks=[*HOOKS, *hooks])

    whole = run(search('whole'))
    with pytest.raises(KeyboardInterrupt):
        run(search('parts', dict(type='Interrupt', iteration=4)))
    checkpoint, _ = newest_checkpoint(tmp_path / 'parts')
    resumed = run(search('parts'), resume=checkpoint)
    assert differences(final_state(resumed), final_state(whole)) == []
    heads = [newest_checkpoint(tmp_path / folder)[1]['augments'] for folder in ('parts', 'whole')]
    assert differences(*heads) == []


@pytest.mark.slow
def test_resume_without_the_state_of_the_head_is_refused(tmp_path):
    run(keeping(tmp_path, False, steps=[dict(type='mmdas.KeepCutout')]))
    checkpoint, content = newest_checkpoint(tmp_path)
    assert 'augments' not in content
    with pytest.raises(ValueError, match=r'no state of data_preprocessor.augments\[0\] \(KeepCutout\), which learns'):
        run(keeping(tmp_path, False), resume=checkpoint)
    run(keeping(tmp_path / 'early', False))
    checkpoint, _ = newest_checkpoint(tmp_path / 'early')
    with pytest.raises(ValueError, match=r'has a state of data_preprocessor.augments\[0\], which is not there now'):
        cfg = keeping(tmp_path / 'early', False, steps=[dict(type='mmdas.KeepCutout')])
        cfg.model['data_preprocessor']['augments'] = []
        cfg.custom_hooks.append(dict(type='mmdas.AugmentHook'))
        run(cfg, resume=checkpoint)


def losses_of(runner) -> list[float]:
    lines = [json.loads(line) for path in Path(runner.log_dir).rglob('scalars.json') for line in path.open()]
    return [line['loss'] for line in lines if 'loss' in line]


@pytest.mark.parametrize(('toolbox', 'frames'), [('mmpretrain', 2), ('mmseg', 1)])
@pytest.mark.slow
def test_a_training_with_all_steps_learns(tmp_path, toolbox, frames):
    steps = [
        dict(type='mmdas.KeepPaste', policy=TURN.to_dict(), saliency='low', size=0.6),
        dict(type='mmdas.KeepCutMix', probability=0.3, saliency='low'),
        dict(type='mmdas.KeepCutout', size=(0.1, 0.4), saliency='early', fill='random'),
    ]
    cfg = keeping(tmp_path, toolbox == 'mmpretrain', steps=steps, frames=frames)
    cfg.model['data_preprocessor']['channel_order'] = 'rgb'
    if toolbox == 'mmpretrain':
        cfg.train_cfg.max_epochs = 8
        cfg.train_dataloader = loader('PackInputs', batch_size=8, dataset=dict(type='BrightOrDark', count=32))
    else:
        cfg.train_cfg.max_iters = 30
    cfg.train_cfg.val_interval = 100
    cfg.optim_wrapper.optimizer.lr = 0.1
    losses = losses_of(run(cfg))
    third = len(losses) // 3
    assert sum(losses[-third:]) / third < 0.93 * sum(losses[:third]) / third


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(process_variables(rank, port))
    cfg = keeping(folder / 'run', True, launcher='pytorch')
    cfg.train_dataloader = loader('PackInputs', batch_size=2)
    runner = run(cfg)
    source = unwrap(runner.model).data_preprocessor.augments.steps[0].source
    torch.save(source.state_dict(), folder / f'head_{get_rank()}.pth')
    barrier()
    end_processes()


@pytest.mark.slow
def test_processes_have_the_same_early_head(tmp_path):
    in_two_processes(in_process, tmp_path)
    first, second = (torch.load(tmp_path / f'head_{rank}.pth', weights_only=True) for rank in (0, 1))
    assert differences(first, second) == []
    assert first['head']['weight'].any()


def test_step_without_draws_still_lets_the_head_learn():
    model, images, samples = build('mmpretrain', 1)
    step = KeepCutout(probability=0.0, saliency='early')
    step.use_model(model)
    covered, _ = step(images, samples)
    assert torch.equal(covered, images)
    assert step.source.head.weight.any()
