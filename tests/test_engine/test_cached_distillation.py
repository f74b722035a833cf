"""Trainings whose teacher sees each image of the training set once."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from mmpretrain.datasets import CustomDataset
from test_distill_hook import TEACHERS, losses_of, newest, save_teacher, toy_model, training
from toy_search import Interrupt, differences, loader, read_log, run

from mmdas.engine.distillation import load_teacher
from mmdas.engine.distillation.cache_logits import FILE
from mmdas.engine.distillation.fixed_view import fingerprint_of, pipeline_of
from mmdas.models.distillation import DistillationError, Teacher
from mmdas.models.settings import DifferenceError

PLAIN = [dict(type='PackInputs')]


@pytest.fixture(scope='module')
def teachers(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp('teachers')
    return {kind: save_teacher(folder / kind, 'mmpretrain', kind) for kind in TEACHERS}


def cached(work_dir: Path, teacher: dict, images: dict | None = None, **options) -> Config:
    """A training from cached logits; ``images`` changes its data set."""
    distill = {'cache': True, **options.pop('distill', {})}
    batches = loader('PackInputs', sampler='InfiniteSampler', dataset=images or {})
    return training(work_dir, 'mmpretrain', teacher, distill=distill, **{'train_dataloader': batches, **options})


def table_of(runner) -> torch.Tensor:
    return torch.load(Path(runner.work_dir, FILE), weights_only=True)['logits']


@pytest.mark.parametrize('kind', TEACHERS)
@pytest.mark.parametrize('student', TEACHERS)
def test_the_table_holds_what_the_teacher_says_of_each_image_and_its_mirror_image(tmp_path, teachers, kind, student):
    runner = run(cached(tmp_path, teachers[kind], kind=student, iters=1, distill=dict(views=2)))
    teacher = load_teacher(**teachers[kind]).eval()
    images = [sample['inputs'] for sample in runner.val_dataloader.dataset]  # the same images
    with torch.no_grad():
        views = [
            teacher(**teacher.data_preprocessor(dict(inputs=torch.stack(view), data_samples=None)), mode='tensor')
            for view in (images, [image.flip(-1) for image in images])
        ]
    torch.testing.assert_close(table_of(runner).float(), sum(views) / 2, rtol=2e-3, atol=2e-3)


def test_a_training_on_images_as_they_are_is_that_with_the_teacher_at_hand(tmp_path, teachers):
    plain = dict(pipeline=PLAIN)
    one = run(cached(tmp_path / 'one', teachers['das'], plain))
    batches = loader('PackInputs', sampler='InfiniteSampler', dataset=plain)
    other = run(training(tmp_path / 'other', 'mmpretrain', teachers['das'], train_dataloader=batches))
    found, expected = (losses_of(runner, 'distil_loss_kl') for runner in (one, other))
    assert len(found) == 4
    assert found == pytest.approx(expected, rel=5e-3)
    for name, value in other.model.state_dict().items():
        torch.testing.assert_close(one.model.state_dict()[name], value, rtol=1e-2, atol=1e-4)


def test_a_step_does_not_run_the_teacher(tmp_path, teachers, monkeypatch):
    seen, call = [], Teacher.__call__

    def count(teacher, images, *args):
        seen.append(len(images))
        return call(teacher, images, *args)

    monkeypatch.setattr(Teacher, '__call__', count)
    batches = loader('PackInputs', sampler='InfiniteSampler')
    batches['dataset'] = dict(type='RepeatDataset', times=3, dataset=dict(type='ToyImages', pipeline=PLAIN))
    runner = run(cached(tmp_path, teachers['plain'], iters=6, train_dataloader=batches))
    assert sum(seen) == 8
    assert min(losses_of(runner, 'distil_loss_kl')) > 0
    assert 'with 1 view of an image, once for all, by KLDistillation' in read_log(runner)
    run(cached(tmp_path, teachers['plain'], iters=6, train_dataloader=batches))
    assert sum(seen) == 8  # the second run finds the file


def test_a_resumed_student_equals_an_uninterrupted_one_with_and_without_the_file(tmp_path, teachers):
    whole = run(cached(tmp_path / 'whole', teachers['das'], iters=6))
    with pytest.raises(KeyboardInterrupt):
        run(cached(tmp_path / 'parts', teachers['das'], iters=6, hooks=[dict(type=Interrupt.__name__, iteration=4)]))
    for keep in (True, False):
        if not keep:
            (tmp_path / 'parts' / FILE).write_bytes(b'PK cut off')
        resumed = run(cached(tmp_path / 'parts', teachers['das'], iters=6), tmp_path / 'parts' / 'iter_4.pth')
        states = [torch.load(newest(runner), weights_only=True)['state_dict'] for runner in (whole, resumed)]
        assert differences(*map(dict, states)) == []
    assert torch.equal(table_of(resumed), table_of(whole))


def test_a_table_of_another_teacher_view_or_data_set_is_not_taken_and_not_resumed_with(tmp_path, teachers):
    first = run(cached(tmp_path, teachers['plain'], iters=2))
    for change in (
        dict(distill=dict(cache=False)),
        dict(images=dict(count=6)),
        dict(images=dict(first_label=1, count=8)),
        dict(val_dataloader=loader('PackInputs', shuffle=False)),  # its pipeline flips
    ):
        with pytest.raises(DifferenceError, match=r'cannot resume: cache is .* and was 8 images, '):
            run(cached(tmp_path, teachers['plain'], iters=4, **change), newest(first))
    before = table_of(first)
    other = run(cached(tmp_path, teachers['das'], iters=2))
    assert not torch.equal(table_of(other), before)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(val_dataloader=None, val_cfg=None, val_evaluator=None), 'neither val_dataloader nor test_dataloader'),
        (dict(distill=dict(losses=[dict(type='mmdas.AttentionTransfer')])), 'AttentionTransfer compares features'),
        (dict(images=dict(pipeline=[dict(type='PackInputs', meta_keys=())])), "leave 'sample_idx' in meta_keys"),
        (dict(model='mixup'), 'batch_augments of this training mixes images'),
        (dict(images='two'), 'ConcatDataset has no sample_idx for each image'),
    ],
)
def test_what_cannot_be_cached_is_refused(tmp_path, teachers, change, message):
    if change.get('model') == 'mixup':
        mixing = dict(augments=[dict(type='Mixup', alpha=0.2)])
        preprocessor = dict(batch_augments=mixing, num_classes=2)
        change = dict(model=toy_model('mmpretrain', 'plain', **preprocessor))
    if change.get('images') == 'two':
        batches = loader('PackInputs', sampler='InfiniteSampler')
        batches['dataset'] = dict(type='ConcatDataset', datasets=[dict(type='ToyImages', pipeline=PLAIN)] * 2)
        change = dict(train_dataloader=batches)
    with pytest.raises(DistillationError, match=message):
        run(cached(tmp_path, teachers['plain'], **change))


def test_logits_beyond_half_precision_are_refused(tmp_path, teachers):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(toy_model('mmpretrain', 'plain'))
    model.head.fc.bias.data.fill_(1e6)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'large.pth')
    with pytest.raises(DistillationError, match=r'reach 1e\+06, and cached ones are kept in half precision'):
        run(cached(tmp_path / 'run', {**teachers['plain'], 'checkpoint': str(tmp_path / 'large.pth')}))


def test_a_segmentation_is_refused(tmp_path):
    teacher = save_teacher(tmp_path / 'teacher', 'mmseg', 'plain')
    with pytest.raises(DistillationError, match=r'logits of the teacher are maps \(2, 2, 2, 2\).*leave out --cache'):
        run(training(tmp_path / 'run', 'mmseg', teacher, distill=dict(cache=True)))


def test_a_file_of_another_size_is_another_image_and_another_folder_the_same(tmp_path):
    found = []
    for folder, content in (('a', b'1'), ('b', b'1'), ('c', b'22')):
        path = tmp_path / folder / '0.jpg'
        path.parent.mkdir()
        path.write_bytes(content)
        (tmp_path / f'{folder}.txt').write_text('0.jpg 1')
        found.append(
            fingerprint_of(CustomDataset(ann_file=str(tmp_path / f'{folder}.txt'), data_prefix=str(path.parent)))
        )
    assert found[0] == found[1] != found[2]


def test_pipeline_is_that_of_the_first_data_set_within_others(tmp_path):
    (tmp_path / 'list.txt').write_text('0.jpg 1')
    inner = CustomDataset(ann_file=str(tmp_path / 'list.txt'), data_prefix=str(tmp_path))
    for outer in (inner, RepeatDataset(inner, 2), ConcatDataset([inner, inner])):
        assert pipeline_of(outer) is inner.pipeline


class Dimmed:
    """A step of a user that does not show its settings."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, sample: dict) -> dict:
        return {**sample, 'img': (sample['img'] * self.by).astype('uint8')}


def test_what_changes_the_images_of_the_teacher_makes_a_new_table(tmp_path, teachers, monkeypatch):
    monkeypatch.setitem(TRANSFORMS.module_dict, 'Dimmed', Dimmed)

    def table(by: float, teacher: dict, **preprocessor) -> torch.Tensor:
        validation = loader('PackInputs', shuffle=False, dataset=dict(pipeline=[dict(type='Dimmed', by=by), *PLAIN]))
        config = cached(tmp_path / 'run', teacher, iters=1, val_dataloader=validation)
        config.model.data_preprocessor.update(preprocessor)
        return table_of(run(config))

    first = table(1.0, teachers['plain'])
    assert not torch.equal(first, table(0.1, teachers['plain']))
    assert torch.equal(first, table(1.0, teachers['plain']))
    assert not torch.equal(first, table(1.0, teachers['plain'], pad_size_divisor=32))
    other = save_teacher(tmp_path / 'other', 'mmpretrain', 'plain', mean=[0.0] * 3, std=[32.0] * 3)
    assert not torch.equal(first, table(1.0, other)), 'of the same weights, normalised otherwise'


def test_pixels_count_where_a_path_is_no_file(tmp_path, teachers):
    tables = [table_of(run(cached(tmp_path, teachers['plain'], dict(seed=seed), iters=1))) for seed in (0, 1)]
    assert not torch.equal(*tables)
