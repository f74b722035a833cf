"""Receptive fields: against closed formulas, and what a clip does to them."""

import math

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from mmdas.analysis.receptive_field import (
    box_in_middle,
    describe_field,
    effective_field,
    frame_reaches,
    theoretical_fields,
    union_of,
)
from mmdas.ops.clip import clip_to_frames
from mmdas.search.das import Policy, PolicyClip, PolicyEdge

SIZE = (64, 64)


def clip_of(operation: str, strength: float, num_frames: int = 4) -> PolicyClip:
    edge = PolicyEdge(0, 2, operation, strength)
    return PolicyClip(Policy(num_frames, 1, (edge,), reference_size=SIZE)).train()


def closed_formula(layers: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """(field, stride) after each layer of (kernel, stride, dilation); Araujo et al. 2019, Eq. 2."""
    field, jump, found = 1, 1, []
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= stride
        found.append((field, jump))
    return found


def test_trunk_of_resnet18_has_the_published_field():
    config = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        trunk = MODELS.build(config)
    found = {stage.stage: stage for stage in theoretical_fields(trunk)}
    fields = {name: stage.width for name, stage in found.items()}
    assert fields == {'conv1': 7, 'maxpool': 11, 'layer1': 43, 'layer2': 99, 'layer3': 211, 'layer4': 435}
    assert found['layer4'].height == 435 and found['layer4'].stride == (32, 32)


@pytest.mark.parametrize(
    ('tall', 'wide'),
    [
        ([(3, 1, 1), (3, 2, 1), (5, 1, 2)], [(3, 1, 1), (3, 2, 1), (5, 1, 2)]),
        ([(1, 1, 1), (7, 2, 1), (1, 1, 1)], [(7, 1, 1), (1, 2, 1), (3, 1, 3)]),
    ],
)
def test_chain_of_convolutions_has_the_field_of_the_formula(tall: list, wide: list):
    convs: list[nn.Module] = []
    for number, (row, column) in enumerate(zip(tall, wide, strict=True)):
        kernel, stride, dilation = zip(row, column, strict=True)
        padding = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        conv = nn.Conv2d(3 if number == 0 else 2, 2, kernel, stride, padding, dilation)
        convs.append(nn.Sequential(conv, nn.BatchNorm2d(2), nn.ReLU6()))
    found = theoretical_fields(nn.ModuleList(convs), lambda module, image: nn.Sequential(*module)(image))
    assert [(stage.height, stage.stride[0]) for stage in found] == closed_formula(tall)
    assert [(stage.width, stage.stride[1]) for stage in found] == closed_formula(wide)


def test_the_longest_branch_counts_and_max_pooling_has_all_of_its_window():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.far = nn.MaxPool2d(3, 2, 1), nn.Conv2d(3, 3, 3, padding=4, dilation=4)
            self.end = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            x = self.pool(x)
            return self.end(x - 2 * self.far(x).relu())

    found = theoretical_fields(Branches())
    assert [(stage.stage, stage.width) for stage in found] == [('pool', 3), ('far', 3 + 8 * 2)], 'and not 3 at the end'


def test_attention_and_global_pooling_see_the_whole_image():
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.mean((2, 3), keepdim=True).sigmoid()

    found = theoretical_fields(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), Gate()))
    assert [(stage.height, stage.width) for stage in found] == [(3, 3), (None, None)]


def test_network_is_left_as_it_is_and_its_norms_are_no_stages():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GroupNorm(1, 2), nn.BatchNorm2d(2))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert [(stage.stage, stage.width) for stage in theoretical_fields(network)] == [('0', 3)]
    assert network.training and isinstance(network[2], nn.BatchNorm2d)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_measured_field_of_a_convolution_is_the_norm_of_its_kernels():
    conv = nn.Conv2d(3, 1, 5, padding=2)
    field = effective_field(conv, torch.rand(2, 3, 11, 11), draws=2)
    torch.testing.assert_close(field[3:8, 3:8], conv.weight.detach()[0].square().mean(0).sqrt())
    assert float(field.sum() - field[3:8, 3:8].sum()) == 0


def test_random_signs_give_the_norm_of_all_channels():
    conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
    field = effective_field(conv, torch.rand(4, 1, 7, 7), draws=300)
    torch.testing.assert_close(field[2:5, 2:5], conv.weight.detach().square().sum((0, 1)).sqrt(), rtol=0.1, atol=0.01)


def test_shape_of_a_turned_gaussian():
    y, x = torch.meshgrid(torch.arange(81.0) - 40, torch.arange(81.0) - 40, indexing='ij')
    angle = math.radians(30)  # counter-clockwise, where y points down
    along, across = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    shape = describe_field(torch.exp(-(along**2) / (2 * 8**2) - across**2 / (2 * 4**2)))
    assert shape.spread == pytest.approx((8, 4), rel=1e-3)
    assert shape.orientation == pytest.approx(30, abs=0.01) and shape.centre == pytest.approx((0, 0), abs=1e-4)
    assert shape.area == pytest.approx(-2 * math.pi * 8 * 4 * math.log(1 - 0.95), rel=0.02)
    round_one = describe_field(torch.exp(-(x**2 + y**2) / (2 * 6**2)))
    expected = {share: 6 * math.sqrt(-2 * math.log(1 - share)) for share in round_one.radii}
    assert round_one.radii == pytest.approx(expected, abs=0.5)


def test_translation_shifts_the_field_of_each_frame():
    mask = box_in_middle(SIZE, (9, 9))
    boxes = union_of(frame_reaches(clip_of('translate_x', 0.125), 4, mask))['boxes']
    left, top, right, bottom = boxes[2]  # the reference frame
    for frame, (one, *_, other, end) in enumerate(boxes):
        shift = -8 * (frame - 2)  # content that moved right by 8 pixels was further left
        assert (one, other, end) == (left + shift, right + shift, bottom)


def test_translation_widens_the_measured_field_and_identity_leaves_it():
    conv = nn.Conv2d(3, 4, 9, padding=4)
    images = torch.rand(1, 3, *SIZE)

    def measure(clip: PolicyClip) -> Tensor:
        torch.manual_seed(1)
        return effective_field(lambda one: conv(clip_to_frames(clip(one), 4)).mean(0, True), images)

    torch.manual_seed(1)
    plain = effective_field(conv, images)
    torch.testing.assert_close(measure(clip_of('identity', 0.0)), plain)
    shape, moved = describe_field(plain), describe_field(measure(clip_of('translate_x', 0.125)))
    assert moved.aspect > 1.5 * shape.aspect and abs(moved.orientation) < 5
    assert abs(describe_field(measure(clip_of('translate_y', 0.125))).orientation) == pytest.approx(90, abs=5)


def test_rotation_turns_the_field_of_each_frame():
    conv = nn.Conv2d(3, 1, (3, 25), padding=(1, 12))
    nn.init.ones_(conv.weight)
    clip = clip_of('rotate', 20.0)
    for frame in range(4):
        field = effective_field(
            lambda one, frame=frame: conv(clip(one).unflatten(1, (4, 3))[:, frame]), torch.rand(1, 3, *SIZE)
        )
        # content that was turned counter-clockwise is read where it was before
        assert describe_field(field).orientation == pytest.approx(-20 * (frame - 2), abs=1.5)


@pytest.mark.parametrize(('operation', 'strength'), [('identity', 0.0), ('brightness', 0.1)])
def test_what_moves_nothing_adds_nothing(operation: str, strength: float):
    mask = box_in_middle(SIZE, (9, 21))
    reaches = frame_reaches(clip_of(operation, strength), 4, mask)
    assert all(torch.equal(frame, mask) for frame in reaches)
    assert union_of(reaches)['union'] == union_of(reaches)['reference'] == 9 * 21


def test_field_that_is_nowhere_and_maps_that_are_none_are_told():
    with pytest.raises(ValueError, match='zero everywhere'):
        describe_field(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r'expected maps \(1, K, h, w\)'):
        effective_field(lambda one: one.mean((2, 3)), torch.rand(1, 3, 8, 8))
