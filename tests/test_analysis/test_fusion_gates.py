"""The gates of GSM and GSF that are shown are those that the network uses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from analysed_models import T, batch
from mmengine.registry import DefaultScope
from test_deploy.deployed_models import CHAIN, SIZE, build_small
from torch import nn

from mmdas.analysis import AnalysisError, ImageNetwork, frames_of, fusion_gates
from mmdas.apis import DASOptions, load_config
from mmdas.apis.gates import ImageGates, SiteGates, cut_to_content
from mmdas.commands import main
from mmdas.models.fusion import GatedFusion
from mmdas.ops.clip import reference_frame, split_frames
from mmdas.registry import MODELS
from mmdas.visualization import draw_gates

SITES = ['layer1_0_conv2', 'layer1_1_conv2']
CASES = [('cls', 'GateShift'), ('seg', 'GateShiftFuse')]

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


def data_of(task: str) -> dict:
    return batch({'decode_head': None} if task == 'seg' else {}, SIZE)


def gates_of(model: nn.Module, task: str) -> dict[str, torch.Tensor]:
    network = ImageNetwork(model)
    with network.evaluating():
        return fusion_gates(network, network.read(data_of(task)))


@pytest.mark.parametrize(('task', 'fusion'), CASES)
def test_gates_are_zero_at_the_start(task: str, fusion: str):
    model = build_small(task, CHAIN, fusion)
    for module in model.modules():
        if isinstance(module, GatedFusion):
            module.init_weights()
    found = gates_of(model, task)
    assert list(found) == SITES
    assert all(gates.shape[:3] == (3, T, 2) and not gates.any() for gates in found.values())


@pytest.mark.parametrize(('task', 'fusion'), CASES)
def test_a_biased_gate_is_its_bias_everywhere(task: str, fusion: str):
    model = build_small(task, CHAIN, fusion)
    conv = model.backbone.fusion[SITES[1]].conv3D
    nn.init.zeros_(conv.weight)
    conv.bias.data = torch.tensor([0.5, -0.25]).atanh()
    gates = gates_of(model, task)[SITES[1]]
    torch.testing.assert_close(gates, torch.tensor([0.5, -0.25])[:, None, None].expand_as(gates))


@torch.no_grad()
def test_output_of_a_module_follows_from_the_gates_by_the_published_equation():
    model = build_small('cls', CHAIN, 'GateShift')
    seen: dict[str, tuple] = {}
    for name, module in model.backbone.fusion.items():
        module.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
    for name, gates in gates_of(model, 'cls').items():
        x, found = (split_frames(part, T) for part in seen[name])  # (B, T, C, h, w)
        gated = x * gates.repeat_interleave(x.shape[2] // 2, dim=2)
        expected = x - gated
        half = x.shape[2] // 2
        expected[:, :-1, :half] += gated[:, 1:, :half]
        expected[:, 1:, half:] += gated[:, :-1, half:]
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(('task', 'fusion', 'told'), [('cls', 'TemporalShift', 'TemporalShift'), ('seg', None, 'none')])
def test_a_model_without_gates_is_refused(task: str, fusion: str | None, told: str):
    with pytest.raises(AnalysisError, match=f'has no gates: its fusion is {told}; .* --fusion gsm or gsf'):
        gates_of(build_small(task, CHAIN, fusion), task)


@pytest.mark.parametrize('task', ['cls', 'seg'])
def test_looking_leaves_the_model_as_it_is_and_the_middle_frame_is_the_image(task: str):
    model = build_small(task, CHAIN).train()
    network, modes = ImageNetwork(model), [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    with network.evaluating():
        read = network.read(data_of(task))
        fusion_gates(network, read)
        frames = frames_of(network, read)
    assert torch.equal(frames[:, reference_frame(T)], read.images)
    assert not any(module._forward_pre_hooks for module in model.backbone.fusion.values())
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())


def test_cells_of_the_padding_are_left_out():
    gates = torch.arange(2 * 2 * 4 * 4.0).view(2, 2, 4, 4)
    found = cut_to_content('a', gates, canvas=(32, 32), size=(17, 24))
    assert np.array_equal(found.gates, gates[..., :3, :3].numpy())
    assert found.shown == (24, 24)


def test_numbers_and_picture_say_the_means_of_each_frame():
    gates = np.zeros((2, 2, 2, 3), np.float32)
    gates[1, 0], gates[1, 1, 0, 0] = -0.5, 0.6
    found = ImageGates('a.png', np.full((2, 8, 12, 3), 90, np.uint8), (SiteGates('conv', gates, (8.0, 12.0)),))
    (site,) = found.to_dict()['sites']
    assert site == dict(site='conv', cells=[2, 3], mean=[0, 0.3], back=[0, 0.5], forth=[0, 0.1], highest=0.6)
    assert found.to_dict()['frames'] == [-1, 0]
    figure = draw_gates(found.frames, {'conv': (found.sites[0].strength, (8.0, 12.0))})
    assert [axes.get_title() for axes in figure.axes[:2]] == ['-1', 'reference']
    assert [axes.texts[0].get_text() for axes in figure.axes[2:]] == ['0.00', '0.30']
    shown = [axes.images[1] for axes in figure.axes[2:]]
    for frame, image in zip(found.sites[0].strength, shown, strict=True):
        assert np.array_equal(np.asarray(image.get_array()), frame)
    assert {image.get_clim() for image in shown} == {(0.0, float(found.sites[0].strength.max()))}
    with pytest.raises(ValueError, match="'conv' has gates of 1 frames, the clip has 2"):
        draw_gates(found.frames, {'conv': (found.sites[0].strength[:1], (8.0, 12.0))})


CONFIG = str(Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')


@pytest.mark.slow
def test_command_writes_picture_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture):
    photo, weights, out = str(tmp_path / 'photo.png'), str(tmp_path / 'das.pth'), tmp_path / 'out'
    cv2.imwrite(photo, np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(load_config(CONFIG, das='repeat', options=DASOptions(2, 'gsf')).model)
    model.backbone.fusion.layer2_0_conv2.conv3D.bias.data = torch.tensor([0.5, -0.25]).atanh()
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, weights)
    options = ['--das', 'repeat', '--frames', '2', '--fusion', 'gsf', '--out-dir', str(out)]
    assert main(['analyze', 'gates', CONFIG, weights, photo, *options]) == 0
    (row,) = json.loads((out / 'gates.json').read_text())['images']
    means = {site['site']: (site['mean'], site['back'], site['forth']) for site in row['sites']}
    assert len(means) == 6 and means.pop('layer2_0_conv2') == ([0.375] * 2, [0.5] * 2, [0.25] * 2)
    assert all(found == ([0, 0],) * 3 for found in means.values())
    assert (row['file'], row['frames'], row['size']) == ('photo.png', [-1, 0], [48, 48])
    assert cv2.imread(str(out / 'gates' / row['file'])) is not None
    assert f'{photo}: mean |g| 0.062, most at layer2_0_conv2 (0.375)' in capsys.readouterr().out
