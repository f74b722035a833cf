"""Students and teachers of both toolboxes, batch by batch."""

import copy

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmdas.models.distillation import (
    ChannelWiseDistillation,
    Distillation,
    DistillationError,
    KLDistillation,
    Teacher,
    distil,
    kl_divergence,
    release,
)
from mmdas.models.distillation.logits import content_map, pick_logits, recording, resized
from mmdas.models.distillation.pixels import PixelChange, images_of, mirrored
from mmdas.search.das import Policy

SIZE, FRAMES, CLASSES = 16, 3, 4
NORM = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
STAGES = dict(depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), base_channels=4, stem_channels=4)
TOOLBOXES = ('mmpretrain', 'mmseg')
each_toolbox = pytest.mark.parametrize('toolbox', TOOLBOXES)
each_kind = pytest.mark.parametrize('kind', ['plain', 'das'])
PLACES = {'mmpretrain': 'head', 'mmseg': 'decode_head'}


def seg_head(**options) -> dict:
    return {
        **dict(
            type='FCNHead', in_channels=8, in_index=1, channels=4, num_convs=1, dropout_ratio=0, align_corners=False
        ),
        **dict(num_classes=CLASSES, norm_cfg=dict(type='BN')),
        **options,
    }


def build(toolbox: str, kind: str = 'plain', policy: dict | None = None, head: dict | None = None, **options):
    """A tiny model with random weights and statistics."""
    seg, das = toolbox == 'mmseg', kind == 'das'
    preprocessor = dict(**NORM, **(dict(size=(SIZE, SIZE)) if seg else dict(num_classes=CLASSES)))
    preprocessor['type'] = (
        ('SegDataPreProcessor' if seg else 'ClsDataPreprocessor')
        if not das
        else ('mmdas.DASSegDataPreProcessor' if seg else 'mmdas.DASClsDataPreprocessor')
    )
    backbone = dict(type='ResNet' if seg else 'ResNet_CIFAR', out_indices=(0, 1) if seg else (1,), **STAGES)
    head = head or (seg_head() if seg else dict(type='LinearClsHead', num_classes=CLASSES, in_channels=8))
    if das:
        preprocessor.update(num_frames=FRAMES, policy=policy or Policy.random(FRAMES, seed=2).to_dict())
        fusion = dict(type='mmdas.TemporalShift', fraction=0.25)
        backbone = dict(type='mmdas.FrameFusionBackbone', num_frames=FRAMES, fusion=fusion, backbone=backbone)
        kinds = dict(mmseg='mmdas.TemporalPoolingHead', mmpretrain='mmdas.TemporalPoolingClsHead')
        head = dict(type=kinds[toolbox], num_frames=FRAMES, head=head)
    preprocessor.update(options.pop('preprocessor', {}))
    model = dict(data_preprocessor=preprocessor, backbone=backbone, **{PLACES[toolbox]: head}, **options)
    if seg:
        model.update(type='mmdas.DASEncoderDecoder' if das else 'EncoderDecoder', train_cfg={})
        model['test_cfg'] = dict(mode='whole')
    else:
        model.update(type='ImageClassifier', neck=dict(type='GlobalAveragePooling'))
    with DefaultScope.overwrite_default_scope(toolbox):
        built = MODELS.build(model)
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.running_mean)
    return built.eval()


def batch(toolbox: str, count: int = 2, sizes=None) -> dict:
    """Images of bytes and labels, as a data loader gives them."""
    sizes = sizes or [(SIZE, SIZE)] * count
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    if toolbox == 'mmpretrain':
        samples = [DataSample().set_gt_label(number % CLASSES) for number in range(count)]
        return dict(inputs=torch.stack(images), data_samples=samples)
    samples = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size)) for size in sizes]
    for sample, size in zip(samples, sizes, strict=True):
        sample.gt_sem_seg = PixelData(data=torch.randint(0, CLASSES, (1, *size)))
    return dict(inputs=images, data_samples=samples)


def losses_of(student, data: dict) -> dict:
    return student(**student.data_preprocessor(data, training=True), mode='loss')


def taught(student, teacher, *losses, **options):
    """The student with a teacher."""
    place = 'decode_head' if hasattr(student, 'decode_head') else 'head'
    teachers = [Teacher(teacher, options.pop('views', 1))]
    distil(student, Distillation(teachers, losses or [KLDistillation()], place, **options))
    return student


def test_several_teachers_teach_the_mean_of_their_logits():
    torch.manual_seed(0)
    student, first, second = (build('mmseg') for _ in range(3))
    second = build('mmseg', head=seg_head(in_index=0, in_channels=4))  # of another resolution
    data = batch('mmseg')
    taught_by_both = taught(copy.deepcopy(student), first)
    taught_by_both.distillation.teachers = (Teacher(first), Teacher(second))
    found = losses_of(taught_by_both, data)['distil_loss_kl']
    images = student.data_preprocessor(data, training=True)['inputs']
    own, *others = (model(images, mode='tensor') for model in (student, first, second))
    mean = torch.stack([resized(maps, own.shape[-2:]) for maps in others]).mean(0)
    assert others[1].shape != own.shape
    torch.testing.assert_close(found, kl_divergence(own, mean, 4.0) * 1.0)


# the loss of a student


@each_toolbox
@each_kind
def test_a_student_that_equals_its_teacher_has_no_distance(toolbox, kind):
    model = build(toolbox, kind)
    losses = [KLDistillation(), *([ChannelWiseDistillation()] if toolbox == 'mmseg' else [])]
    student = taught(copy.deepcopy(model), model, *losses)
    found = losses_of(student, batch(toolbox))
    for loss in losses:
        assert found[f'distil_loss_{loss.name}'].item() == pytest.approx(0, abs=1e-6)


@each_toolbox
@each_kind
def test_the_losses_of_the_host_stay_and_the_distance_has_a_gradient(toolbox, kind):
    student, data = build(toolbox), batch(toolbox)
    alone = losses_of(student, copy.deepcopy(data))
    found = losses_of(taught(student, build(toolbox, kind), views=2), copy.deepcopy(data))
    assert set(found) == {*alone, 'distil_loss_kl'}
    for name, value in alone.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    found['distil_loss_kl'].backward()
    head = student.decode_head.conv_seg if toolbox == 'mmseg' else student.head.fc
    assert head.weight.grad.abs().sum() > 0
    release(student)
    assert losses_of(student, data).keys() == alone.keys()


@each_toolbox
def test_the_distance_is_that_of_the_logits_of_two_separate_passes(toolbox):
    student, teacher, data = build(toolbox), build(toolbox, 'das'), batch(toolbox)
    inputs = student.data_preprocessor(copy.deepcopy(data), training=True)
    with torch.no_grad():
        learned = student(**inputs, mode='tensor')
        wanted = teacher(**teacher.data_preprocessor(copy.deepcopy(data), training=False), mode='tensor')
    learned, wanted = ((logits / 4).log_softmax(dim=1) for logits in (learned, wanted))
    expected = 16 * (wanted.exp() * (wanted - learned)).sum(dim=1).mean()
    found = losses_of(taught(student, teacher), data)['distil_loss_kl']
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@each_toolbox
def test_the_head_of_a_student_runs_once_a_step(toolbox):
    student = taught(build(toolbox), build(toolbox))
    layer, calls = (student.decode_head.conv_seg if toolbox == 'mmseg' else student.head.fc), []
    layer.register_forward_hook(lambda *_: calls.append(1))
    losses_of(student, batch(toolbox))
    assert calls == [1]


def test_an_auxiliary_head_keeps_its_own_loss_and_has_no_teacher():
    auxiliary = seg_head(in_channels=4, in_index=0)
    student = build('mmseg', auxiliary_head=auxiliary)
    found = losses_of(taught(student, build('mmseg')), batch('mmseg'))
    assert set(found) == {'decode.loss_ce', 'decode.acc_seg', 'aux.loss_ce', 'aux.acc_seg', 'distil_loss_kl'}
    found['distil_loss_kl'].backward()
    assert all(parameter.grad is None for parameter in student.auxiliary_head.parameters())


def test_several_losses_of_a_kind_have_names_of_their_own():
    both = taught(build('mmseg'), build('mmseg'), KLDistillation(1.0), KLDistillation(8.0))
    found = losses_of(both, batch('mmseg'))
    assert found['distil_loss_kl'] != found['distil_loss_kl2']


def test_maps_of_another_resolution_are_resized_to_the_students():
    fine = build('mmseg', head=seg_head(in_channels=4, in_index=0))
    coarse = build('mmseg')
    found = losses_of(taught(coarse, fine, KLDistillation(), ChannelWiseDistillation()), batch('mmseg'))
    assert found['distil_loss_kl'] > 0
    assert torch.isfinite(found['distil_loss_cwd'])


def test_the_teacher_of_a_student_of_das_gets_the_image_itself():
    student, teacher, data = build('mmpretrain', 'das'), build('mmpretrain'), batch('mmpretrain')
    clip = student.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    image = teacher.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    assert clip.shape[1] == 3 * FRAMES
    torch.testing.assert_close(images_of(clip, student.data_preprocessor), image, rtol=0, atol=0)


def test_a_batch_that_no_head_has_seen_has_no_distance():
    student = build('mmseg', 'das')
    data = batch('mmseg')
    for sample in data['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    found = losses_of(taught(student, build('mmseg')), data)
    assert found['distil_loss_kl'] == 0


@each_toolbox
def test_a_step_in_bfloat16_gives_a_loss_in_float32(toolbox):
    student = taught(build(toolbox), build(toolbox, 'das'))
    exact = losses_of(student, data := batch(toolbox))['distil_loss_kl']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = losses_of(student, data)['distil_loss_kl']
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0.2, atol=0.05)


def test_other_classes_are_refused():
    head = dict(type='LinearClsHead', num_classes=7, in_channels=8)
    student = taught(build('mmpretrain'), build('mmpretrain', head=head))
    with pytest.raises(DistillationError, match=r'student are \(2, 4\), those of the teacher \(2, 7\)'):
        losses_of(student, batch('mmpretrain'))


def test_a_distillation_without_losses_is_refused():
    with pytest.raises(DistillationError, match='needs teachers, and losses'):
        Distillation([Teacher(build('mmpretrain'))], [], 'head')


# two views


@each_toolbox
@each_kind
def test_two_views_are_the_mean_of_an_image_and_its_mirror_image(toolbox, kind):
    model = build(toolbox, kind)
    images, samples = torch.randn(2, 3, SIZE, SIZE), batch(toolbox)['data_samples']
    one, two = Teacher(model, 1), Teacher(model, 2)
    other = one(images.flip(-1), samples)
    expected = (one(images, samples) + (other.flip(-1) if toolbox == 'mmseg' else other)) / 2
    torch.testing.assert_close(two(images, samples), expected)
    assert not torch.allclose(expected, one(images, samples))


def test_another_number_of_views_is_refused():
    with pytest.raises(DistillationError, match=r'views of the teacher must be 1 .* or 2 .*, got 3'):
        Teacher(build('mmpretrain'), 3)


def test_mirroring_within_the_content_twice_changes_nothing_and_moves_no_padding():
    images = torch.randn(2, 3, 6, 8)
    sizes = [(6, 8), (4, 5)]
    once = mirrored(images, sizes)
    torch.testing.assert_close(once[1, :, :4, :5], images[1, :, :4, :5].flip(-1))
    torch.testing.assert_close(once[1, :, 4:], images[1, :, 4:])
    torch.testing.assert_close(mirrored(once, sizes), images)


@each_kind
def test_padded_batches_have_finite_losses_and_gradients(kind):
    student, teacher = build('mmseg'), build('mmseg', kind)
    data = batch('mmseg', sizes=[(SIZE, SIZE), (8, 8)])
    inputs = student.data_preprocessor(data, training=True)
    taught(student, teacher, KLDistillation(), ChannelWiseDistillation(), views=2)
    sizes = [(SIZE, SIZE), (8, 8)]
    content = content_map(sizes, (SIZE, SIZE), torch.zeros(2, CLASSES, 8, 8))
    assert content.sum(dim=(1, 2, 3)).tolist() == [64, 16]
    found = student(**inputs, mode='loss')
    assert all(torch.isfinite(value).all() for value in found.values())
    sum(value for name, value in found.items() if 'loss' in name).backward()
    assert all(torch.isfinite(p.grad).all() for p in student.parameters() if p.grad is not None)


# pixels


@each_toolbox
def test_images_are_normalised_as_the_teacher_does_it(toolbox):
    other = dict(mean=[3.0, 5.0, 7.0], std=[10.0, 20.0, 30.0])
    student, teacher = build(toolbox), build(toolbox, preprocessor=other)
    data = batch(toolbox)
    own, wanted = (m.data_preprocessor(copy.deepcopy(data), training=True)['inputs'] for m in (student, teacher))
    change = PixelChange(student.data_preprocessor, teacher.data_preprocessor)
    assert not change.is_equal
    torch.testing.assert_close(change(own), wanted, rtol=1e-4, atol=1e-4)
    assert PixelChange(student.data_preprocessor, student.data_preprocessor)(own) is own


def test_what_pads_an_image_stays_as_it_is():
    student, teacher = build('mmseg'), build('mmseg', preprocessor=dict(mean=[0.0] * 3, std=[1.0] * 3))
    change = PixelChange(student.data_preprocessor, teacher.data_preprocessor)
    images = torch.randn(1, 3, 4, 4)
    changed = change(images, [(2, 3)])
    torch.testing.assert_close(changed[..., 2:, :], images[..., 2:, :])
    torch.testing.assert_close(changed[..., :2, :3], change(images)[..., :2, :3])


def test_another_order_of_the_colours_has_to_be_told():
    student, teacher = build('mmpretrain'), build('mmpretrain', preprocessor=dict(to_rgb=True))
    with pytest.raises(DistillationError, match=r'False for the student, True for the teacher; .*swap_colours=True'):
        losses_of(taught(student, teacher), batch('mmpretrain'))
    data = batch('mmpretrain')
    own, wanted = (m.data_preprocessor(copy.deepcopy(data), training=True)['inputs'] for m in (student, teacher))
    change = PixelChange(student.data_preprocessor, teacher.data_preprocessor, swap=True)
    torch.testing.assert_close(change(own), wanted, rtol=1e-4, atol=1e-4)


# what heads return


class Pair(BaseModule):
    """A head that returns two maps, and one that fails."""

    def forward(self, fails=False):
        if fails:
            raise RuntimeError('no')
        return torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3)


def test_a_recorded_head_returns_what_it_did_and_is_as_before_in_the_end():
    head = Pair()
    with recording(head) as outputs:
        head()
        head.forward()
    assert [len(output) for output in outputs] == [2, 2]
    with pytest.raises(RuntimeError, match='no'), recording(head):
        head(fails=True)
    assert 'forward' not in vars(head)


def test_logits_beside_a_vector_are_found_and_several_maps_have_to_be_told():
    scores = torch.zeros(1, 2)
    zeros, ones = Pair()()
    assert pick_logits((zeros, scores), None, 'the student') is zeros
    assert pick_logits([zeros, ones], 1, 'the student') is ones
    with pytest.raises(DistillationError, match=r'the student \(Pair\) returns 2 tensors.*output=PLACE'):
        pick_logits((zeros, ones), None, 'the student (Pair)')
    with pytest.raises(DistillationError, match=r'output=2 of mmdas\.DistillHook is no tensor .*places are \[0, 1\]'):
        pick_logits((zeros, ones), 2, 'the student')


def test_resized_maps_keep_a_constant_and_scores_stay():
    torch.testing.assert_close(resized(torch.full((1, 2, 3, 5), 2.0), (6, 7)), torch.full((1, 2, 6, 7), 2.0))
    scores = torch.randn(2, 3)
    assert resized(scores, ()) is scores
