"""The picture of KeepAugment: what its panels show, and the tool that draws it for a config and a checkpoint."""

import sys

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from tool_scripts import load_script

from mmdas.apis import load_config
from mmdas.visualization import draw_keep

CONFIG = 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py'


def test_panels_show_image_saliency_centres_and_cuts():
    images = np.random.RandomState(0).randint(0, 256, (2, 6, 8, 3)).astype(np.uint8)
    saliency = torch.rand(2, 6, 8)
    positions, anywhere, kept = (torch.zeros(2, 6, 8, dtype=torch.bool) for _ in range(3))
    positions = positions[:, :5, :5]
    positions[:, 1, 2], anywhere[:, 0:2, 0:4], kept[:, 1:3, 2:6] = True, True, True
    figure = draw_keep(images, saliency, positions, (2, 4), anywhere, kept, ['a', 'b'])
    panels = np.array(figure.axes).reshape(2, 5)
    for row in range(2):
        shown = [axes.images[-1].get_array() for axes in panels[row]]
        assert np.array_equal(shown[0], images[row])
        assert np.array_equal(shown[1], saliency[row].numpy())
        assert np.argwhere(~np.ma.getmaskarray(shown[2])).tolist() == [[2, 4]]  # the centre of the region at (1, 2)
        for picture, mask in ((shown[3], anywhere), (shown[4], kept)):
            covered = mask[row].numpy()
            np.testing.assert_allclose(picture[~covered], images[row][~covered] / 255)
            np.testing.assert_allclose(picture[covered], np.tile(images[row].mean((0, 1)) / 255, (covered.sum(), 1)))


@pytest.mark.slow
def test_tool_draws_the_images_of_a_config(tmp_path, monkeypatch, capsys):
    data = tmp_path / 'digits'
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(data, num_train=3, num_val=1)
    settings = f'train_dataloader.dataset.data_root={data}'
    cfg = load_config(CONFIG)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, tmp_path / 'model.pth')
        out = tmp_path / 'keep.png'
        words = ['keep_augment.py', CONFIG, str(tmp_path / 'model.pth'), '--num', '2', '--out', str(out)]
        monkeypatch.setattr(sys, 'argv', [*words, '--cfg-options', settings])
        load_script('visualization/keep_augment.py').main()
    assert out.read_bytes().startswith(b'\x89PNG')
    assert f'2 images: {out}' in capsys.readouterr().out
