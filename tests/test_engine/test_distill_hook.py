"""Trainings with a teacher: what the student learns and keeps, and what the teacher does not."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import MomentumAnnealingEMA
from mmengine.registry import HOOKS, MODELS, DefaultScope
from toy_search import (
    NUM_FRAMES,
    Interrupt,
    _search,
    cls_model,
    differences,
    epoch_search,
    loader,
    prepare,
    read_log,
    run,
    seg_model,
)

from mmdas.apis import build_runner
from mmdas.engine.distillation import load_teacher
from mmdas.engine.hooks.distill_hook import DistillHook, fingerprint, head_place
from mmdas.models.distillation import DistillationError, Distilled, Teacher
from mmdas.models.settings import DifferenceError
from mmdas.search.das import Policy

PIXELS = dict(mean=[128.0] * 3, std=[64.0] * 3)
TOOLBOXES = ('mmpretrain', 'mmseg')
each_toolbox = pytest.mark.parametrize('toolbox', TOOLBOXES)
TEACHERS = ('plain', 'das')


@HOOKS.register_module()
class Spy(Hook):
    """Keeps what a test wants to see of a training while it runs."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.model_class = type(runner.model)
        self.names = [name for name, _ in runner.model.named_modules()]
        self.teacher = next(hook for hook in runner.hooks if isinstance(hook, DistillHook)).teachers[0]
        self.optimised = {id(p) for group in runner.optim_wrapper.param_groups for p in group['params']}


def toy_model(toolbox: str, kind: str, **preprocessor) -> dict:
    """The model of toy searches, plain or with a policy."""
    model = seg_model() if toolbox == 'mmseg' else cls_model()
    own = model['data_preprocessor']
    if kind == 'das':
        own.update(cell=None, policy=Policy.random(NUM_FRAMES, seed=3).to_dict())
    else:
        own.pop('cell'), own.pop('num_frames')
        own['type'] = 'SegDataPreProcessor' if toolbox == 'mmseg' else 'ClsDataPreprocessor'
        head = 'decode_head' if toolbox == 'mmseg' else 'head'
        model['backbone'], model[head] = model['backbone']['backbone'], model[head]['head']
    own.update(preprocessor)
    return model


def save_teacher(folder: Path, toolbox: str, kind: str, seed: int = 5, **preprocessor) -> dict:
    """A model with random weights, as a config and a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    cfg = Config(dict(default_scope=toolbox, model=toy_model(toolbox, kind, **preprocessor)))
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope(toolbox):
        model = MODELS.build(cfg.model)
    (folder / 'teacher.py').write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.to_dict().items()))
    torch.save({'state_dict': model.state_dict()}, folder / 'teacher.pth')
    return dict(config=str(folder / 'teacher.py'), checkpoint=str(folder / 'teacher.pth'))


def training(work_dir: Path, toolbox: str, teacher: dict | None, kind: str = 'plain', iters: int = 4, **options):
    """A few steps of a toy model, with a validation at the end."""
    pack = 'PackSegInputs' if toolbox == 'mmseg' else 'PackInputs'
    distill = [dict(type='mmdas.DistillHook', teacher=teacher, **options.pop('distill', {}))] if teacher else []
    validation = dict(
        val_dataloader=loader(pack, shuffle=False, dataset=dict(pipeline=[dict(type=pack)])),
        val_evaluator=dict(type='Accuracy') if toolbox == 'mmpretrain' else dict(type='IoUMetric'),
        val_cfg={},
    )
    return _search(
        work_dir,
        False,
        toolbox,
        **{
            **dict(
                model=toy_model(toolbox, kind),
                train_dataloader=loader(pack, sampler='InfiniteSampler'),
                train_cfg=dict(by_epoch=False, max_iters=iters, val_interval=2),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9)),
                custom_hooks=[*distill, *options.pop('hooks', [])],
            ),
            **validation,
            **options,
        },
    )


def scalars(runner) -> list[dict]:
    return [json.loads(line) for path in Path(runner.log_dir).rglob('scalars.json') for line in path.open()]


def losses_of(runner, name: str) -> list[float]:
    return [line[name] for line in scalars(runner) if name in line]


def newest(runner) -> Path:
    return Path(runner.work_dir, f'iter_{runner.iter}.pth')


@each_toolbox
@pytest.mark.parametrize('kind', TEACHERS)
def test_a_plain_student_learns_from_any_teacher_which_stays_as_it_is(tmp_path, toolbox, kind):
    teacher = save_teacher(tmp_path / 'teacher', toolbox, kind)
    losses = [dict(type='mmdas.KLDistillation', temperature=2.0)]
    if toolbox == 'mmseg':
        losses.append(dict(type='mmdas.ChannelWiseDistillation'))
    config = training(
        tmp_path / 'run', toolbox, teacher, hooks=[dict(type='Spy')], distill=dict(losses=losses, views=2)
    )
    runner = run(config)
    spy = next(hook for hook in runner.hooks if isinstance(hook, Spy))
    model = spy.teacher.model
    assert issubclass(spy.model_class, Distilled)
    saved = torch.load(teacher['checkpoint'], weights_only=True)['state_dict']
    assert differences(dict(model.state_dict()), dict(saved)) == []
    assert not model.training
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())
    assert not spy.optimised & {id(parameter) for parameter in model.parameters()}
    for name in ('distil_loss_kl', 'distil_loss_cwd')[: len(losses)]:
        assert len(losses_of(runner, name)) == 4
        assert min(losses_of(runner, name)) > 0
    with DefaultScope.overwrite_default_scope(toolbox):
        plain = MODELS.build(toy_model(toolbox, 'plain'))
    assert type(runner.model) is type(plain)
    checkpoint = torch.load(newest(runner), weights_only=True)
    assert list(checkpoint['state_dict']) == list(plain.state_dict())
    assert spy.names == [name for name, _ in plain.named_modules()]


def test_the_teachers_score_stands_in_each_validation_and_is_computed_once(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'das')
    runner = run(training(tmp_path / 'run', 'mmpretrain', teacher))
    kept = json.loads((tmp_path / 'run' / 'teacher_score.json').read_text())
    name = 'accuracy/top1'
    assert losses_of(runner, f'teacher/{name}') == [kept['metrics'][name]] * 2
    assert len(losses_of(runner, name)) == 2
    kept['metrics'][name] = 12.5  # a run that goes on does not compute it again
    (tmp_path / 'run' / 'teacher_score.json').write_text(json.dumps(kept))
    resumed = run(training(tmp_path / 'run', 'mmpretrain', teacher, iters=6), newest(runner))
    assert losses_of(resumed, f'teacher/{name}')[-1] == 12.5


def test_the_score_of_another_teacher_is_not_taken(tmp_path):
    first = save_teacher(tmp_path / 'first', 'mmpretrain', 'plain')
    run(training(tmp_path / 'run', 'mmpretrain', first))
    before = json.loads((tmp_path / 'run' / 'teacher_score.json').read_text())
    run(training(tmp_path / 'run', 'mmpretrain', save_teacher(tmp_path / 'second', 'mmpretrain', 'plain', seed=6)))
    after = json.loads((tmp_path / 'run' / 'teacher_score.json').read_text())
    assert before['teacher'] != after['teacher']


def test_the_teachers_score_is_that_of_a_test_of_its_own(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmseg', 'das')
    run(training(tmp_path / 'run', 'mmseg', teacher))
    kept = json.loads((tmp_path / 'run' / 'teacher_score.json').read_text())['metrics']
    empty = dict(train_dataloader=None, train_cfg=None, optim_wrapper=None)
    config = training(tmp_path / 'own', 'mmseg', None, kind='das', load_from=teacher['checkpoint'], **empty)
    config.model = Config.fromfile(teacher['config']).model
    with DefaultScope.overwrite_default_scope('mmseg'):
        metrics = build_runner(config).val()
    assert kept['mIoU'] == pytest.approx(float(metrics['mIoU']))


@each_toolbox
def test_a_teacher_and_its_score_do_not_change_a_training_of_weight_zero(tmp_path, toolbox):
    teacher = save_teacher(tmp_path / 'teacher', toolbox, 'das')
    kl = dict(type='mmdas.KLDistillation', weight=0.0)
    states = [
        run(training(tmp_path / 'taught', toolbox, teacher, distill=dict(losses=[kl]))).model.state_dict(),
        run(training(tmp_path / 'alone', toolbox, None)).model.state_dict(),
    ]
    assert differences(*map(dict, states)) == []


@each_toolbox
@pytest.mark.slow
def test_a_resumed_student_equals_an_uninterrupted_one(tmp_path, toolbox):
    teacher = save_teacher(tmp_path / 'teacher', toolbox, 'das')
    average = dict(type='EMAHook', ema_type=MomentumAnnealingEMA.__name__, update_buffers=True)
    options = dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9), accumulative_counts=2))
    whole = run(training(tmp_path / 'whole', toolbox, teacher, hooks=[average], iters=6, **options))
    with pytest.raises(KeyboardInterrupt):
        hooks = [average, dict(type=Interrupt.__name__, iteration=4)]  # between two steps of the optimiser
        run(training(tmp_path / 'parts', toolbox, teacher, hooks=hooks, iters=6, **options))
    parts = training(tmp_path / 'parts', toolbox, teacher, hooks=[average], iters=6, **options)
    resumed = run(parts, tmp_path / 'parts' / 'iter_4.pth')
    left, right = (torch.load(newest(runner), weights_only=True) for runner in (whole, resumed))
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert differences(dict(left[key]), dict(right[key])) == []
    assert set(left) == set(right)
    assert not any('teacher' in key for key in [*left['state_dict'], *left['ema_state_dict']])


def test_a_student_is_not_resumed_with_another_teacher(tmp_path):
    first, second = (save_teacher(tmp_path / str(seed), 'mmpretrain', 'plain', seed) for seed in (1, 2))
    runner = run(training(tmp_path / 'run', 'mmpretrain', first))
    with pytest.raises(DifferenceError, match=r'cannot resume: teacher is \w+ and was \w+ \(mmdas\.DistillHook\)'):
        run(training(tmp_path / 'run', 'mmpretrain', second, iters=6), newest(runner))


@pytest.mark.slow
def test_a_training_without_a_teacher_is_not_resumed_with_one_nor_the_other_way_round(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    alone = run(training(tmp_path / 'alone', 'mmpretrain', None, iters=2))
    with pytest.raises(DifferenceError, match=r'cannot resume: teacher is \w+ and was none'):
        run(training(tmp_path / 'alone', 'mmpretrain', teacher), newest(alone))
    taught = run(training(tmp_path / 'taught', 'mmpretrain', teacher, iters=2))
    with pytest.raises(DifferenceError, match='its model learned from a teacher, and this run has none'):
        run(training(tmp_path / 'taught', 'mmpretrain', None), newest(taught))
    run(training(tmp_path / 'start', 'mmpretrain', None, load_from=str(newest(taught))))  # its weights alone


@pytest.mark.parametrize('kind', TEACHERS)
def test_a_student_of_das_learns_and_keeps_its_record(tmp_path, kind):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', kind)
    runner = run(training(tmp_path / 'run', 'mmpretrain', teacher, kind='das', distill=dict(views=2)))
    assert min(losses_of(runner, 'distil_loss_kl')) > 0
    assert 'data_preprocessor._extra_state' in torch.load(newest(runner), weights_only=True)['state_dict']


WITHOUT_MMDAS = """
import sys
sys.modules['mmdas'] = None  # importing it fails
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
import {toolbox}.models
cfg = Config.fromfile(sys.argv[1])
with DefaultScope.overwrite_default_scope({toolbox!r}):
    model = MODELS.build(cfg.model).eval()
load_checkpoint(model, sys.argv[2], map_location='cpu', strict=True)
torch.save(model(torch.load(sys.argv[3]), mode='tensor').detach(), sys.argv[4])
"""


@each_toolbox
@pytest.mark.slow
def test_the_checkpoint_of_a_student_loads_and_predicts_without_mmdas(tmp_path, toolbox):
    teacher = save_teacher(tmp_path / 'teacher', toolbox, 'das')
    runner = run(training(tmp_path / 'run', toolbox, teacher))
    plain = save_teacher(tmp_path / 'plain', toolbox, 'plain')
    images = torch.randn(2, 3, 16, 16)
    torch.save(images, tmp_path / 'images.pt')
    files = [plain['config'], newest(runner), tmp_path / 'images.pt', tmp_path / 'scores.pt']
    script = WITHOUT_MMDAS.format(toolbox=toolbox)
    command = [sys.executable, '-W', 'ignore', '-c', script, *map(str, files)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    with torch.no_grad():
        expected = runner.model.eval()(images, mode='tensor')
    torch.testing.assert_close(torch.load(tmp_path / 'scores.pt'), expected, rtol=0, atol=0)


def test_the_graph_of_a_student_is_that_of_the_plain_model(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'das')
    student = run(training(tmp_path / 'run', 'mmpretrain', teacher)).model.eval()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = MODELS.build(toy_model('mmpretrain', 'plain')).eval()
    images = torch.randn(2, 3, 16, 16)
    graphs = [torch.export.export(Tensors(model), (images,)).graph_module.code for model in (student, plain)]
    assert graphs[0] == graphs[1]
    assert 'conv2d' in graphs[0]


class Tensors(torch.nn.Module):
    """Scores of images."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images, mode='tensor')


def test_a_copy_in_a_training_is_a_student_of_the_same_teacher(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    runner = prepare(training(tmp_path / 'run', 'mmpretrain', teacher))
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, DistillHook))
    hook.before_train(runner)
    twin = copy.deepcopy(runner.model)
    assert isinstance(twin, Distilled)
    assert twin.distillation.teachers[0] is runner.model.distillation.teachers[0]
    with pytest.raises(ValueError, match='has a teacher already'):
        hook.before_train(runner)


@pytest.mark.parametrize(
    ('files', 'error', 'message'),
    [
        (dict(config='gone.py'), FileNotFoundError, r'there is no config gone\.py of the teacher'),
        (dict(checkpoint='gone.pth'), FileNotFoundError, r'there is no checkpoint gone\.pth'),
    ],
)
def test_a_teacher_that_is_not_there_ends_the_run(tmp_path, files, error, message):
    teacher = {**save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain'), **files}
    with pytest.raises(error, match=message):
        run(training(tmp_path / 'run', 'mmpretrain', teacher))


def test_weights_of_another_model_are_refused(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    other = save_teacher(tmp_path / 'other', 'mmseg', 'plain')
    with pytest.raises(ValueError, match=r'other/teacher\.pth does not hold the weights of the model of .*teacher\.py'):
        run(training(tmp_path / 'run', 'mmpretrain', {**teacher, 'checkpoint': other['checkpoint']}))


def test_weights_of_clips_are_refused_for_a_plain_teacher(tmp_path):
    plain, das = (save_teacher(tmp_path / kind, 'mmpretrain', kind) for kind in TEACHERS)
    with pytest.raises(DifferenceError, match='was trained on clips of several frames'):
        run(training(tmp_path / 'run', 'mmpretrain', {**plain, 'checkpoint': das['checkpoint']}))


def test_a_search_takes_no_teacher(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    config = epoch_search(tmp_path / 'run', custom_hooks=[dict(type='mmdas.DistillHook', teacher=teacher)])
    with pytest.raises(DistillationError, match='a search does not learn from a teacher'):
        run(config)


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        (dict(type='MultiLabelLinearClsHead', num_classes=2, in_channels=8), 'labels that do not exclude each other'),
        (None, 'ImageClassifier has no head that mmdas.DistillHook could compare'),
    ],
)
def test_a_model_whose_logits_are_no_distribution_takes_no_teacher(head, message):
    model = toy_model('mmpretrain', 'plain')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        student = MODELS.build({**model, 'head': head})
    with pytest.raises(DistillationError, match=message):
        head_place(student)


def test_unknown_keys_of_a_teacher_are_refused():
    with pytest.raises(ValueError, match=r"teacher of mmdas\.DistillHook is .*'path'.*expected dict\(config=FILE"):
        DistillHook(teacher=dict(path='x'))


def test_the_log_says_from_whom_a_student_learns(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    log = read_log(run(training(tmp_path / 'run', 'mmpretrain', teacher)))
    assert (
        f'learns from {teacher["checkpoint"]} with 1 view of an image by KLDistillation(temperature=4.0, weight=1.0)'
        in log
    )


def test_models_of_other_weights_have_other_fingerprints():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert fingerprint(first) == fingerprint(copy.deepcopy(first)) != fingerprint(second)


# the same run goes on, and no other


@pytest.fixture(scope='module')
def taught(tmp_path_factory):
    """A teacher and the runner of its student."""
    folder = tmp_path_factory.mktemp('taught')
    teacher = save_teacher(folder / 'teacher', 'mmpretrain', 'plain')
    return teacher, run(training(folder / 'run', 'mmpretrain', teacher, iters=2))


def resumed(taught, tmp_path: Path, teacher: dict | None = None, **distill):
    own, runner = taught
    return run(training(tmp_path, 'mmpretrain', teacher or own, iters=3, distill=distill), newest(runner))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(output=1), r'outputs is \[1, None\] and was \[None, None\]'),
        (dict(swap_colours=True), 'swap_colours is True and was None'),
        (dict(losses=[dict(type='mmdas.KLDistillation', weight=0.5)]), 'losses is .* and was'),
    ],
)
def test_a_student_is_not_resumed_with_other_settings(taught, tmp_path, options, message):
    with pytest.raises(DifferenceError, match=f'cannot resume: {message}'):
        resumed(taught, tmp_path, **options)


def test_nor_with_the_place_of_other_logits_or_another_model_of_equal_weights(taught, tmp_path):
    with pytest.raises(DifferenceError, match=r'outputs is \[None, 1\] and was'):
        resumed(taught, tmp_path, {**taught[0], 'output': 1})
    other = save_teacher(tmp_path / 'other', 'mmpretrain', 'plain', **dict(PIXELS, std=[32.0] * 3))
    with pytest.raises(DifferenceError, match=r'cannot resume: settings is \w+ and was \w+ \(mmdas'):
        resumed(taught, tmp_path / 'run', other)


def test_defaults_may_be_given_or_left_out(taught, tmp_path):
    losses = [dict(type='mmdas.KLDistillation', temperature=4, weight=1.0)]
    assert resumed(taught, tmp_path, losses=losses).iter == 3


def test_what_an_earlier_version_did_not_note_is_not_compared(taught, tmp_path):
    teacher, runner = taught
    content = torch.load(newest(runner), weights_only=True)
    (name,) = [key for key, value in content.items() if isinstance(value, dict) and 'swap_colours' in value]
    for key in ('settings', 'outputs', 'swap_colours'):
        del content[name][key]
    torch.save(content, tmp_path / 'iter_2.pth')
    assert run(training(tmp_path, 'mmpretrain', teacher, iters=3), tmp_path / 'iter_2.pth').iter == 3


# slips


@pytest.mark.parametrize(
    ('losses', 'message'),
    [
        (dict(type='mmdas.KLDistillation'), 'losses of mmdas.DistillHook is .*, expected a list such as'),
        (['kl'], r"losses of mmdas.DistillHook is \['kl'\], expected a list"),
        ([dict(temperature=4)], 'expected a list such as'),
        ([dict(type='KLDistillation')], 'KLDistillation is not in the'),
        ([dict(type='mmdas.KLDistillation', temprature=2)], "unexpected keyword argument 'temprature'"),
        ([dict(type='mmdas.KLDistillation', temperature='4')], "temperature of a distillation .* got '4'"),
        ([dict(type='mmdas.KLDistillation', weight=float('inf'))], 'weight of a distillation .* got inf'),
        ([dict(type='mmpretrain.CrossEntropyLoss')], 'holds CrossEntropyLoss, which does not compare with a teacher'),
    ],
)
def test_slips_in_losses_are_one_line(tmp_path, losses, message):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    with pytest.raises(DistillationError, match=message) as error:
        run(training(tmp_path / 'run', 'mmpretrain', teacher, distill=dict(losses=losses)))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('own', [True, False])
def test_a_place_in_logits_that_are_one_tensor_is_refused(tmp_path, own):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    distill, more = (dict(output=0), {}) if own else ({}, dict(output=0))
    with pytest.raises(DistillationError, match='output=0 of mmdas.DistillHook says .* returns one; leave it out'):
        run(training(tmp_path / 'run', 'mmpretrain', {**teacher, **more}, distill=distill))


def test_a_teacher_of_the_same_classes_in_another_order_is_refused(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    content = torch.load(teacher['checkpoint'], weights_only=True)
    for names in (('lower', 'upper'), ('upper', 'lower'), ('under', 'over')):
        content['meta'] = dict(dataset_meta=dict(classes=names))
        torch.save(content, teacher['checkpoint'])
        config = training(tmp_path / names[0], 'mmpretrain', teacher, iters=1)
        if names[0] != 'lower':  # the same, or other names for them
            run(config)
            continue
        with pytest.raises(DistillationError, match="class 0 of the teacher is 'lower', of the student 'upper'"):
            run(config)


@pytest.mark.parametrize(
    ('toolbox', 'head', 'reason'),
    [
        ('mmpretrain', dict(type='MultiLabelLinearClsHead', in_channels=8, num_classes=2), 'do not exclude each other'),
        ('mmpretrain', dict(type='ArcFaceClsHead', in_channels=8, num_classes=2), 'by a margin in training'),
        (
            'mmseg',
            dict(
                type='FCNHead',
                in_channels=8,
                channels=4,
                num_classes=2,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
            ),
            'predicts its classes by sigmoids',
        ),
    ],
)
def test_a_head_whose_logits_are_no_distribution_is_no_teacher_and_no_student(toolbox, head, reason):
    model = toy_model(toolbox, 'plain')
    place = 'decode_head' if toolbox == 'mmseg' else 'head'
    with DefaultScope.overwrite_default_scope(toolbox):
        assert head_place(MODELS.build(model)) == place
        model[place] = head
        other = MODELS.build(model)
    for whose in ('the student', 'the teacher'):
        with pytest.raises(DistillationError, match=rf'{head["type"]} of {whose} .*{reason}'):
            head_place(other, whose)


def test_a_size_that_the_teacher_does_not_take_is_one_line(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    model = load_teacher(**teacher)
    model.backbone.forward = lambda images: pytest.fail('not reached') if images.shape[-1] % 7 == 0 else refuse()
    with pytest.raises(
        DistillationError, match=r'teacher \(ImageClassifier\) does not take the images \(2, 3, 16, 16\)'
    ):
        Teacher(model)(torch.zeros(2, 3, 16, 16), None)


def refuse() -> None:
    raise AssertionError('the size must be divisible by 7')
