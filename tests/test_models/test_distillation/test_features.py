"""Distances of features: attention maps of stages."""

import pytest
import torch
from test_student import FRAMES, SIZE, batch, build, losses_of, taught

from mmdas.models.distillation import AttentionTransfer, DistillationError, attention_map
from mmdas.models.distillation.features import maps_of_images
from mmdas.ops.clip import reference_frame


def slow_distance(student, teacher):
    """Position by position and image by image."""
    total = 0.0
    for own, other in zip(student, teacher, strict=True):
        strengths = []
        for maps in (own, other):
            strength = [[float((maps[:, y, x] ** 2).sum()) / len(maps) for x in range(4)] for y in range(3)]
            norm = sum(value**2 for row in strength for value in row) ** 0.5
            strengths.append([[value / norm for value in row] for row in strength])
        total += sum((strengths[0][y][x] - strengths[1][y][x]) ** 2 for y in range(3) for x in range(4))
    return total / len(student)


def test_the_distance_is_that_of_the_written_out_attention():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 3, 4), torch.randn(2, 7, 3, 4)
    found = AttentionTransfer(weight=2.0)([student], [teacher], None, (3, 4))
    assert float(found) == pytest.approx(2 * slow_distance(student, teacher), rel=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(1)
    student = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(1, 3, 2, 3, dtype=torch.float64)

    def distance(maps):
        strength = torch.nn.functional.normalize(maps.square().mean(1).flatten(1), dim=1)
        other = torch.nn.functional.normalize(teacher.square().mean(1).flatten(1), dim=1)
        return (strength - other).square().sum()

    found = torch.autograd.grad(AttentionTransfer(weight=1.0)([student], [teacher], None, (2, 3)), student)[0]
    torch.testing.assert_close(found, torch.autograd.grad(distance(student), student)[0], rtol=1e-4, atol=1e-6)


def test_what_pads_an_image_has_no_attention():
    maps = torch.rand(1, 3, 4, 4) + 0.1
    content = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    content[..., :2, :3] = True
    attention = attention_map(maps, content).view(4, 4)
    assert (attention[2:] == 0).all()
    assert (attention[:, 3] == 0).all()
    assert float(attention.norm()) == pytest.approx(1)


@pytest.mark.parametrize('toolbox', ['mmpretrain', 'mmseg'])
@pytest.mark.parametrize('kind', ['plain', 'das'])
def test_a_student_that_equals_its_teacher_has_no_distance_and_others_have_one(toolbox, kind):
    torch.manual_seed(2)
    model = build(toolbox, kind)
    loss = AttentionTransfer(stages=(0, -1))
    same = losses_of(taught(model, model, loss), batch(toolbox))['distil_loss_at']
    assert float(same) == pytest.approx(0, abs=1e-6)
    other = losses_of(taught(build(toolbox), build(toolbox, kind), loss, views=2), batch(toolbox))['distil_loss_at']
    assert float(other.detach()) > 1e-3
    other.backward()


def test_the_reference_frame_of_a_clip_counts():
    model = build('mmseg', 'das')
    features = torch.arange(2 * FRAMES).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    (found,) = maps_of_images(features, model.data_preprocessor, 'the teacher')
    middle = reference_frame(FRAMES)
    assert found[:, 0, 0, 0].tolist() == [middle, FRAMES + middle]


def test_stages_that_are_not_there_and_features_without_places_are_refused():
    maps = [torch.rand(1, 2, 3, 3)]
    with pytest.raises(DistillationError, match='names 2, but the backbone of the teacher returns 1 maps'):
        AttentionTransfer(stages=(2,))(maps * 3, maps, None, (SIZE, SIZE))
    with pytest.raises(DistillationError, match='must name a stage'):
        AttentionTransfer(stages=())
    with pytest.raises(DistillationError, match='weight of a distillation must be at least 0'):
        AttentionTransfer(weight=-1)
    with pytest.raises(DistillationError, match='losses of features compare maps'):
        maps_of_images((torch.rand(2, 5),), build('mmpretrain').data_preprocessor, 'the student')
