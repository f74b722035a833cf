"""Styles at random as a step on batches."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from narrow_vgg import narrow  # noqa: F401
from PIL import Image

from mmdas.augment import StyleAugment
from mmdas.registry import AUGMENTS, MODELS
from mmdas.search.das import Pixels
from mmdas.style import AdaINStyle, channel_statistics

MEAN, STD = [120.0, 110.0, 100.0], [50.0, 55.0, 60.0]


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / 'styles'
    folder.mkdir()
    for number in range(5):
        noisy = rng.integers(60, 190, 3) + rng.normal(0, rng.uniform(10, 30), (32, 40, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f'{number}.png')
    return folder


def ready(styles: Path, **options) -> StyleAugment:
    step = AUGMENTS.build(dict(type='mmdas.StyleAugment', styles=str(styles), **options))
    step.use_pixels(Pixels(MEAN, STD))
    return step


def normalised(count: int = 4) -> torch.Tensor:
    colours = 255 * torch.rand(count, 3, 16, 20)
    return (colours - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def colours_of(images: torch.Tensor) -> torch.Tensor:
    return (images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) / 255


def test_full_style_has_the_colours_that_were_drawn(styles: Path):
    step, images = ready(styles, alpha=1.0, probability=1.0, max_styles=5), normalised()
    step.augment(torch.rand(1, 3, 8, 8), None)
    _, distribution = step._ready
    torch.manual_seed(5)
    changed, _ = step(images, None)
    torch.manual_seed(5)
    torch.rand(4)  # the coins
    drawn = distribution.draw(4)
    found = channel_statistics(colours_of(changed))
    inside = (colours_of(changed) > 0.002) & (colours_of(changed) < 0.998)  # others were cut off
    whole = inside.flatten(2).all(2)
    assert whole.any()
    torch.testing.assert_close(found.mean[whole], drawn.mean[whole], atol=1e-3, rtol=0)


def test_alpha_zero_and_probability_zero_change_nothing(styles: Path):
    images = normalised()
    assert torch.equal(ready(styles, probability=0.0)(images, None)[0], ready(styles, alpha=0.0)(images, None)[0])
    torch.testing.assert_close(ready(styles, probability=0.0)(images, None)[0], images, atol=1e-5, rtol=1e-5)


def test_half_a_style_lies_between(styles: Path):
    changes = []
    images = 0.3 * normalised()  # so that no colour is cut off
    for alpha in (0.5, 1.0):
        torch.manual_seed(2)
        changes.append(ready(styles, alpha=alpha, probability=1.0)(images, None)[0].mean((2, 3)) - images.mean((2, 3)))
    torch.testing.assert_close(changes[0], changes[1] / 2, atol=0.02, rtol=0)


def test_so_many_images_change_as_the_probability_says(styles: Path):
    images = normalised(400)
    changed, _ = ready(styles, probability=0.3)(images, None)
    share = (changed - images).abs().amax((1, 2, 3)).gt(1e-3).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.07)


def test_seed_decides_and_the_batch_itself_stays(styles: Path):
    images, results = normalised(), []
    before = images.clone()
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(ready(styles)(images, None)[0])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert torch.equal(images, before)


def test_reading_styles_and_weights_draws_no_random_number(styles: Path):
    step, model = ready(styles), torch.nn.Linear(2, 2)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    step.use_model(model)
    assert torch.equal(torch.rand(3), expected)


def test_labels_and_padding_stay(styles: Path):
    preprocessor = MODELS.build(
        dict(
            type='mmdas.DASSegDataPreProcessor',
            size=(24, 32),
            mean=MEAN,
            std=STD,
            bgr_to_rgb=True,
            augments=[dict(type='mmdas.StyleAugment', styles=str(styles), probability=1.0)],
        )
    )
    images = [torch.randint(0, 256, (3, 16, 20), dtype=torch.uint8) for _ in range(2)]
    labels = [torch.randint(0, 4, (1, 16, 20)) for _ in range(2)]
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    data = preprocessor(dict(inputs=images, data_samples=samples), training=True)
    plain = MODELS.build(dict(type='mmdas.DASSegDataPreProcessor', size=(24, 32), mean=MEAN, std=STD, bgr_to_rgb=True))(
        dict(inputs=images, data_samples=[sample.clone() for sample in samples]), training=True
    )
    assert torch.equal(data['data_samples'][0].gt_sem_seg.data, plain['data_samples'][0].gt_sem_seg.data)
    changed = (data['inputs'] - plain['inputs']).abs() > 1e-4
    assert changed[..., :16, :20].any() and not changed[..., 16:, :].any() and not changed[..., :, 20:].any()


def classifier(**augment) -> dict:
    return dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(type='mmpretrain.ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(type='mmpretrain.LinearClsHead', num_classes=2, in_channels=32),
        data_preprocessor=dict(
            type='mmdas.DASClsDataPreprocessor',
            mean=MEAN,
            std=STD,
            to_rgb=True,
            augments=[dict(type='mmdas.StyleAugment', probability=1.0, **augment)],
        ),
    )


@pytest.mark.usefixtures('narrow', 'mmpretrain_scope')
def test_network_of_styles_is_no_part_of_the_model(styles: Path, tmp_path: Path):
    encoder, decoder = save_weights(tmp_path)
    model = MODELS.build(classifier(styles=str(styles), encoder=encoder, decoder=decoder))
    plain = MODELS.build(classifier(styles=str(styles)))
    names = [name for name, _ in model.named_modules()]
    model.data_preprocessor.augments.use_model(model)
    assert names == [name for name, _ in model.named_modules()] == [name for name, _ in plain.named_modules()]
    assert model.state_dict().keys() == plain.state_dict().keys()
    batch = dict(
        inputs=[torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in range(4)],
        data_samples=[DataSample().set_gt_label(number % 2) for number in range(4)],
    )
    data = copy.deepcopy(model).train().data_preprocessor(batch, True)
    loss = model(**data, mode='loss')['loss']
    loss.backward()
    assert torch.isfinite(loss) and all(parameter.grad is not None for parameter in model.parameters())


def save_weights(folder: Path) -> tuple[str, str]:
    """Files of a network of AdaIN with the published names."""
    network = AdaINStyle('random', 'random')
    values = list(network.encoder.state_dict().values())
    places = (0, 2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)
    names = [f'{place}.{part}' for place in places for part in ('weight', 'bias')]
    torch.save(dict(zip(names, values, strict=True)), folder / 'vgg.pth')
    torch.save(network.decoder.state_dict(), folder / 'decoder.pth')
    return str(folder / 'vgg.pth'), str(folder / 'decoder.pth')


@pytest.mark.usefixtures('narrow')
def test_adain_step_is_that_of_the_network_with_a_drawn_style(styles: Path, tmp_path: Path):
    encoder, decoder = save_weights(tmp_path)
    step, images = ready(styles, encoder=encoder, decoder=decoder, probability=1.0, alpha=0.5), normalised(2)
    step.use_model(torch.nn.Linear(2, 2))
    stylizer, distribution = step._ready
    torch.manual_seed(3)
    changed, _ = step(images, None)
    torch.manual_seed(3)
    torch.rand(2)
    expected = stylizer.stylize(colours_of(images), distribution.draw(2), 0.5)
    torch.testing.assert_close(colours_of(changed), expected, atol=1e-4, rtol=1e-3)


class TestErrors:
    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(alpha=1.5), r'alpha must be in \[0, 1\], got 1.5'),
            (dict(probability=-0.5), r'probability of StyleAugment must be in \[0, 1\], got -0.5'),
            (dict(max_styles=1), 'max_styles of StyleAugment must be at least 2, got 1'),
            (dict(encoder='vgg.pth'), 'takes encoder and decoder, or neither'),
        ],
    )
    def test_settings_outside_their_range(self, options: dict, message: str):
        with pytest.raises(ValueError, match=message):
            StyleAugment('styles', **options)

    def test_folder_that_is_missing_is_told_before_the_training(self):
        step = StyleAugment('nowhere')
        with pytest.raises(FileNotFoundError, match='there is no folder of styles nowhere'):
            step.use_model(torch.nn.Linear(2, 2))

    def test_order_of_colours_must_be_known(self, styles: Path):
        options = dict(type='mmdas.DASClsDataPreprocessor', mean=MEAN, std=STD, to_rgb=False)
        with pytest.raises(ValueError, match='style must know the order of the colours'):
            MODELS.build({**options, 'augments': [dict(type='mmdas.StyleAugment', styles=str(styles))]})

    def test_grey_images(self, styles: Path):
        step = StyleAugment(styles)
        step.use_pixels(Pixels())
        with pytest.raises(ValueError, match='takes images of three channels, got 1'):
            step(torch.rand(2, 1, 8, 8), None)
