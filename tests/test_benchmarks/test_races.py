"""The contestants of the races compute what they should."""

from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.harness import check_equal, forward_and_backward, saved_bytes
from benchmarks.hosts import build_model, check_same_prediction, make_batch, share_weights, train_step, training_memory
from benchmarks.races import (
    b1_temporal_shift,
    b2_gated_fusion,
    e1_inference,
    f1_scaling,
    g3_parted_step,
    k1_keep_step,
)
from mmdas.models.fusion import GateShift, GateShiftFuse, TemporalShift

CPU = torch.device('cpu')


@pytest.mark.parametrize('form', ['shift_by_cat', 'shift_by_buffers', 'shift_by_assignment'])
def test_every_form_of_the_shift_is_the_shift(form):
    x = torch.randn(16, 16, 3, 5)
    expected = TemporalShift(16, b1_temporal_shift.FRAMES)(x)
    torch.testing.assert_close(getattr(b1_temporal_shift, form)(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize('form', [GateShift, GateShiftFuse])
def test_form_of_the_gated_shift_in_five_dimensions_has_all_its_gradients(form):
    module = form(16, b2_gated_fusion.FRAMES).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(16, 16, 3, 5, dtype=torch.float64, requires_grad=True)
    forms = {'mmdas': module, '5-D': b2_gated_fusion.VolumeForm(module)}
    grad = torch.randn_like(x)
    steps = {name: forward_and_backward(partial(f, x), [x, *module.parameters()], grad) for name, f in forms.items()}
    check_equal({name: step() for name, step in steps.items()}, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_step_with_kept_regions_looks_at_every_image_at_the_resolution_of_its_source():
    for source, looks in (('full', [64, 64]), ('low', [32, 64]), ('early', [64, 64])):
        model = build_model('classifier R18', 64, options=k1_keep_step.keep_options('classifier R18', source))
        model.data_preprocessor.augments.use_model(model)
        seen: list[tuple] = []
        late: list[int] = []
        model.backbone.conv1.register_forward_hook(lambda m, inputs, out, seen=seen: seen.append(inputs[0].shape))
        model.backbone.layer4.register_forward_hook(lambda m, inputs, out, late=late: late.append(1))
        train_step(model, make_batch('classifier R18', 2, 64))()
        assert [(len(shape), shape[0], shape[-1]) for shape in seen] == [(4, 2, side) for side in looks]
        assert len(late) == (1 if source == 'early' else 2)


@pytest.mark.slow
def test_frames_of_the_race_part_where_it_says():
    case = g3_parted_step.SMALL_CASE
    for place, rows in ((None, 8), ('layer2', 2)):
        model = g3_parted_step.build(case.host, 4, place)
        seen: list[int] = []
        model.backbone.layer2.register_forward_pre_hook(lambda m, inputs, seen=seen: seen.append(len(inputs[0])))
        model.backbone.layer3.register_forward_pre_hook(lambda m, inputs, seen=seen: seen.append(len(inputs[0])))
        assert train_step(model, g3_parted_step.make_images(case, 2))()['loss'].isfinite()
        assert seen == [rows, 8]


class TestHosts:
    @pytest.mark.parametrize('name', ['PSPNet R18', 'classifier R18'])
    @pytest.mark.slow
    def test_models_train_and_predict_alike_with_equal_frames(self, name):
        plain, das = build_model(name, 64), build_model(name, 64, frames=2)
        share_weights(plain, das)
        batch = make_batch(name, 2, 64)
        for model in (plain, das):
            before = {key: value.clone() for key, value in model.named_parameters()}
            losses = train_step(model, batch)()
            assert losses['loss'].isfinite()
            assert any((value != before[key]).any() for key, value in model.named_parameters())
        share_weights(build_model(name, 64), das)
        share_weights(build_model(name, 64), plain)
        for module in das.backbone.fusion.modules():  # the step opened the gates
            if hasattr(module, 'init_weights'):
                module.init_weights()
        check_same_prediction(plain, das, 2, 64)

    @pytest.mark.slow
    def test_another_model_does_not_share_its_weights(self):
        plain = build_model('classifier R18', 32)
        das = build_model('classifier R18', 32, frames=2)
        del das.head
        with pytest.raises(RuntimeError, match='do not share'):
            share_weights(plain, das)

    @pytest.mark.slow
    def test_memory_of_twice_the_images_is_about_twice(self):
        one, two = (
            training_memory(lambda: build_model('classifier R18', 64), make_batch('classifier R18', images, 64), CPU)
            for images in (2, 4)
        )
        assert one < two <= 2 * one


class TestTestTimeAugmentation:
    def test_flips_of_a_dense_prediction_are_undone(self):
        model = nn.Identity()
        model.forward = lambda images, mode: images  # a prediction for every pixel
        images = torch.randn(2, 3, 8, 8)
        predicted = e1_inference.scales_and_flips(model, images, (1.0,))
        torch.testing.assert_close(predicted, images.softmax(dim=1))

    def test_a_scale_makes_two_passes(self):
        calls = []
        model = nn.Identity()
        model.forward = lambda images, mode: calls.append(images.shape[-1]) or images.mean(dim=(-2, -1))
        for frames, scales in e1_inference.SCALES.items():
            calls.clear()
            e1_inference.scales_and_flips(model, torch.randn(1, 3, 16, 16), scales)
            assert len(calls) == frames


class TestScaling:
    def test_exponent_of_a_power_law_is_its_power(self):
        sizes = [2, 4, 7, 20]
        assert f1_scaling.exponent(sizes, [3.0 * size**1.7 for size in sizes]) == pytest.approx(1.7)

    def test_each_sweep_varies_its_parameter_alone(self):
        for name, cases in f1_scaling.sweeps(f1_scaling.Case()).items():
            for parameter in f1_scaling.PARAMETERS:
                values = [case.value(parameter) for case in cases]
                assert (len(set(values)) == len(cases)) if parameter == name else (len(set(values)) == 1)

    def test_number_of_edges_is_the_cells(self):
        case = f1_scaling.Case(nodes=4)
        assert case.value('edges') == len(f1_scaling.DASCell(2, num_nodes=4).edges)

    @pytest.mark.slow
    def test_backward_gives_the_gradient_of_the_logits(self):
        forward, backward = f1_scaling.cell_step(f1_scaling.Case(frames=2, batch=1, side=8, operations=2, nodes=1), CPU)
        assert forward().shape == (1, 6, 8, 8)
        assert backward().shape == (2, 2)
        assert saved_bytes(forward) > 0
