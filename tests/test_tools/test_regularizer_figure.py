"""The picture of what regularisers drop of the features of a model."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from tool_scripts import load_script

from mmdas.apis import load_config

CONFIG = str(Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Config, untrained weights, and two images."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(load_config(CONFIG).model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
    for name in ('a.png', 'b.png'):
        cv2.imwrite(str(tmp_path / name), np.random.RandomState(0).randint(0, 255, (48, 48, 3), np.uint8))
    return [CONFIG, *(str(tmp_path / name) for name in ('weights.pth', 'a.png', 'b.png'))]


def test_features_are_those_that_the_site_gives(arguments):
    tool = load_script('misc/regularizer_figure.py')
    model = tool.build_model(*arguments[:2])
    images = tool.read_images(arguments[2:])
    early, late = (tool.features_at(model, images, site) for site in ('layer1', None))
    inputs = torch.stack([torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) for image in images]).float()
    preprocessor = model.data_preprocessor
    with torch.no_grad():
        expected = model.backbone((inputs - preprocessor.mean) / preprocessor.std)
    torch.testing.assert_close(early, expected[0])
    torch.testing.assert_close(late, expected[2])


def test_picture_is_written(arguments, tmp_path, capsys):
    out = tmp_path / 'new' / 'features.png'
    load_script('misc/regularizer_figure.py').main([*arguments, '--block-size', '3', '--out', str(out)])
    assert f'{out}: 2 images' in capsys.readouterr().out
    assert cv2.imread(str(out)).std() > 10


def test_what_is_no_image_of_one_size_is_named(arguments, tmp_path):
    tool = load_script('misc/regularizer_figure.py')
    with pytest.raises(FileNotFoundError, match='there is no image gone.png'):
        tool.read_images(['gone.png'])
    cv2.imwrite(str(tmp_path / 'c.png'), np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(ValueError, match=r'c\.png is \(8, 9\), .*a\.png \(48, 48\); give images of one size'):
        tool.read_images([arguments[2], str(tmp_path / 'c.png')])
