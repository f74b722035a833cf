"""Saliency of models of both toolboxes, plain and of DAS."""

import copy

import pytest
import torch
from analysed_models import CLS_HEAD, FRAMES, SIZE, B, batch, build, classifier, policy, segmentor

from mmdas.analysis import AnalysisError, ImageNetwork, saliency_maps, smooth_saliency

WARPS = policy('translate_x', 'rotate')
MODELS = {
    'classifier': classifier(),
    'DAS classifier': classifier(WARPS),
    'DAS classifier, open head': classifier(WARPS, open_head=True),
    'segmentor': segmentor(),
    'DAS segmentor': segmentor(WARPS),
    'DAS segmentor, windows': segmentor(WARPS, crop_size=(16, 16), stride=(8, 8)),
}
MODELS['DAS segmentor, windows']['test_cfg']['mode'] = 'slide'
each_model = pytest.mark.parametrize('name', MODELS)


def network_of(name: str, size=(SIZE, SIZE)):
    config = copy.deepcopy(MODELS[name])
    model = build(config).double()
    if 'open' in name:
        model.head.temporal_pooling.set_frames(FRAMES['num_frames'])  # as the latest batch of a training does
    return ImageNetwork(model), batch(config, size)


@each_model
def test_map_is_the_largest_difference_quotient_over_the_colours(name: str):
    network, data = network_of(name)
    with network.evaluating():
        read = network.read(data)
        read = type(read)(read.images.double(), read.samples, read.sizes)
        classes = [2, 0, 1]
        maps = saliency_maps(network, read, classes)
        for place, (y, x) in [(0, (5, 7)), (1, (12, 3)), (2, (20, 20))]:
            quotients = []
            for colour in range(3):
                step = torch.zeros_like(read.images)
                step[place, colour, y, x] = 1e-5
                with torch.no_grad():
                    ends = [network.scores(read, classes, read.images + sign * step)[place] for sign in (1, -1)]
                quotients.append(float((ends[0] - ends[1]) / 2e-5))
            assert float(maps[place, y, x]) == pytest.approx(max(map(abs, quotients)), rel=1e-4, abs=1e-9)
    assert maps.shape == (B, *read.images.shape[-2:]) and float(maps.max()) > 0


@each_model
def test_model_is_left_as_it_was_in_the_middle_of_a_training(name: str):
    network, data = network_of(name)
    model = network.model.float()
    model.backbone.eval()  # a part that the training has frozen
    modes = {key: module.training for key, module in model.named_modules()}
    state = {key: copy.deepcopy(value) for key, value in model.state_dict().items()}
    gives = getattr(model.data_preprocessor, 'gives_images', None)
    with network.evaluating():
        saliency_maps(network, network.read(data))
    assert {key: module.training for key, module in model.named_modules()} == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert getattr(model.data_preprocessor, 'gives_images', None) == gives
    now = model.state_dict()
    assert now.keys() == state.keys()
    assert all(torch.equal(now[key], value) for key, value in state.items() if torch.is_tensor(value))


@pytest.mark.parametrize('name', ['segmentor', 'DAS segmentor'])
def test_padding_of_a_segmentation_is_not_salient(name: str):
    network, data = network_of(name, (20, 27))
    network.model.float()
    with network.evaluating():
        read = network.read(data)
        maps = saliency_maps(network, read)
    assert read.images.shape[-2:] == (32, 32) and read.sizes == [(20, 27)] * B
    assert float(maps[:, 20:].abs().max()) == 0 and float(maps[..., 27:].abs().max()) == 0
    assert float(maps[:, :20, :27].max()) > 0


def test_logits_are_those_of_a_test():
    for name in ('classifier', 'DAS classifier', 'segmentor', 'DAS segmentor'):
        network, data = network_of(name, (20, 27) if 'segmentor' in name else (SIZE, SIZE))
        model = network.model.float()
        with network.evaluating(), torch.no_grad():
            logits = network.logits(network.read(copy.deepcopy(data)))
        samples = model.eval().test_step(copy.deepcopy(data)) if hasattr(model.eval(), 'test_step') else None
        for sample, found in zip(samples, logits, strict=True):
            if 'segmentor' in name:
                torch.testing.assert_close(sample.seg_logits.data, found[:, :20, :27], rtol=1e-3, atol=1e-3)
            else:
                torch.testing.assert_close(sample.pred_score, found.softmax(0), rtol=1e-3, atol=1e-4)


def test_class_without_pixels_is_explained_by_all_pixels():
    network, data = network_of('segmentor')
    network.model.float().decode_head.conv_seg.bias.data[3] = -1e4
    with network.evaluating(), torch.no_grad():
        read = network.read(data)
        scores, logits = network.scores(read, [3, 3, 3]), network.logits(read)
    torch.testing.assert_close(scores, logits[:, 3, :SIZE, :SIZE].mean((1, 2)))


def test_noise_averages_the_saliency_of_noisy_images():
    images = torch.rand(2, 3, 5, 6) * 4 - 2

    def score(batch):
        return (batch**3).sum((1, 2, 3))

    torch.manual_seed(5)
    found = smooth_saliency(score, images, samples=3, noise=0.1)
    torch.manual_seed(5)
    expected = torch.zeros(2, 5, 6)
    for _ in range(3):
        span = torch.stack([image.max() - image.min() for image in images]).view(2, 1, 1, 1)
        expected += (3 * (images + 0.1 * span * torch.randn(images.shape)) ** 2).amax(1) / 3
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(smooth_saliency(score, images), (3 * images**2).amax(1))


def test_unusable_requests_are_told():
    network, data = network_of('classifier')
    network.model.float()
    with network.evaluating():
        read = network.read(data)
        with pytest.raises(AnalysisError, match='class 7 is none of the 4 classes'):
            saliency_maps(network, read, [7, 0, 0])
        with pytest.raises(ValueError, match='samples is 0'):
            saliency_maps(network, read, samples=0)
    headless = build({**classifier(), 'head': None})
    with pytest.raises(AnalysisError, match='has no head'):
        ImageNetwork(headless)
    assert CLS_HEAD['num_classes'] == 4
