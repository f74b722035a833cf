"""A deployable network gives for RGB pixels what its model gives for a batch of a data loader."""

import numpy as np
import pytest
import torch
from deployed_models import CHAIN, COLOURED, SIZE, build_small
from mmengine.registry import DefaultScope
from test_analysis.analysed_models import batch

from mmdas.deploy import DeployableNetwork, ExportError, slide, windows
from mmdas.deploy.description import Description, describe
from mmdas.deploy.draws import repeat_draw

CASES = {
    'plain cls': ('cls',),
    'plain seg': ('seg',),
    'DAS cls': ('cls', CHAIN),
    'DAS seg': ('seg', CHAIN),
    'equal frames': ('cls', 'repeat'),
    'random operations': ('cls', COLOURED),
    'TSM': ('seg', CHAIN, 'TemporalShift'),
}


def predicted(model, task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """RGB pixels, and what the toolbox predicts for them: logits of maps, or scores."""
    data = batch({'decode_head': None} if task == 'seg' else {}, SIZE)
    inputs = torch.stack(list(data['inputs']))
    with DefaultScope.overwrite_default_scope('mmseg' if task == 'seg' else 'mmpretrain'):
        samples = model.test_step(data)
    if task == 'seg':
        return inputs.flip(1).float(), torch.stack([sample.seg_logits.data for sample in samples])
    return inputs.flip(1).float(), torch.stack([sample.pred_score for sample in samples])


@pytest.mark.parametrize('case', CASES)
@torch.no_grad()
def test_network_of_pixels_equals_the_prediction_of_the_toolbox(case: str):
    task = CASES[case][0]
    model = build_small(*CASES[case])
    before = [parameter.clone() for parameter in model.parameters()]
    pixels, expected = predicted(model, task)
    network = DeployableNetwork(model, 'bgr', output='logits' if task == 'seg' else 'probabilities')
    torch.testing.assert_close(network(pixels), expected, rtol=1e-5, atol=1e-5)
    normalised = DeployableNetwork(model, 'bgr', pixels=False, output=network.output)
    torch.testing.assert_close(normalised(network.normalise(pixels)), network(pixels))
    assert all(torch.equal(a, b) and b.requires_grad for a, b in zip(before, model.parameters(), strict=True))


@torch.no_grad()
def test_labels_are_the_largest_class():
    model = build_small('seg', CHAIN)
    pixels = torch.randint(256, (2, 3, *SIZE)).float()
    labels = DeployableNetwork(model, output='labels')(pixels)
    assert torch.equal(labels, DeployableNetwork(model)(pixels).argmax(1))
    assert labels.unique().numel() > 1


@pytest.mark.parametrize('stride', [(8, 8), (7, 24)])
@torch.no_grad()
def test_slide_outside_of_the_graph_equals_that_of_the_toolbox(stride: tuple[int, int]):
    model = build_small('seg', CHAIN)
    model.test_cfg.update(mode='slide', crop_size=(16, 24), stride=stride)
    pixels, expected = predicted(model, 'seg')
    network = DeployableNetwork(model, 'bgr')
    told = describe(network, (16, 24))
    assert (told.mode, told.crop, told.stride) == ('slide', (16, 24), stride)
    found = slide(lambda part: network(torch.from_numpy(part)).numpy(), pixels.numpy(), told.crop, told.stride)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('size', 'crop', 'stride'), [((37, 50), (16, 20), (7, 20)), ((9, 30), (16, 20), (8, 5))])
def test_windows_cover_the_image_and_have_one_size(size, crop, stride):
    seen = np.zeros(size)
    for top, bottom, left, right in windows(size, crop, stride):
        assert (bottom - top, right - left) == (min(crop[0], size[0]), min(crop[1], size[1]))
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1


def test_draws_for_several_images_are_those_of_one_for_each():
    draw = torch.rand(3, 2, 4)

    class Symbol(torch.SymInt):  # as a recorded graph has
        def __init__(self):
            pass

        def __repr__(self):
            return 's0'

    for place in range(3):
        shape = [Symbol() if index == place else side for index, side in enumerate(draw.shape)]
        found = repeat_draw(draw, shape, 5).unflatten(place, (draw.shape[place], 5))
        assert all(torch.equal(found.select(place + 1, index), draw) for index in range(5))
    with pytest.raises(ExportError, match='one side for the frames'):
        repeat_draw(draw, [Symbol(), Symbol(), 4], 5)


def test_description_survives_its_texts():
    network = DeployableNetwork(build_small('cls', CHAIN), 'rgb')
    told = describe(network, SIZE, classes=('a', 'ü'), pipeline=({'type': 'Resize', 'scale': [32, 24]},))
    again = Description.from_texts({**told.to_texts(), 'producer': 'x'}, 'FILE')
    assert again.to_texts() == told.to_texts()
    assert (again.classes, again.size, again.channels) == (('a', 'ü'), SIZE, 3)
    assert (told.num_frames, told.policy, told.mean) == (2, CHAIN, (120.0, 120.0, 120.0))
    with pytest.raises(ExportError, match=r'FILE has no metadata of mmdas export'):
        Description.from_texts({'producer': 'x'}, 'FILE')


@pytest.mark.parametrize(
    ('model', 'options', 'text'),
    [
        (torch.nn.Linear(2, 2), {}, 'Linear has no head that predicts classes'),
        (None, {'output': 'classes'}, "output is 'classes'"),
        (None, {'channel_order': 'gbr'}, "channel_order is 'gbr'"),
    ],
)
def test_what_cannot_be_deployed_is_refused(model, options, text):
    with pytest.raises(ExportError, match=text):
        DeployableNetwork(model or build_small('cls'), **options)
