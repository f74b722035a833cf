from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tool_scripts import load_script

tool = load_script('visualization/mixing_figure.py')


@pytest.mark.slow
def test_columns_show_one_pair_of_images_and_the_file_is_small(tmp_path):
    model = tool.learn(0, np.random.default_rng(0))
    batch = model.data_preprocessor(tool.make_batch(np.random.default_rng(1), 4), False)
    columns = tool.columns_of(model, batch['inputs'], batch['data_samples'], 0)
    for image, partner, (mixed, share), (cut, _) in zip(
        columns['image'], columns['partner'], columns['Mixup'], columns['CutMix'], strict=True
    ):
        assert not torch.equal(image, partner)
        assert torch.allclose(mixed, share * image + (1 - share) * partner, atol=1e-5)
        assert ((cut == image) | (cut == partner)).all()
    for mask, (_, share) in zip(columns['Puzzle Mix, mask'], columns['Puzzle Mix'], strict=True):
        assert abs(mask.mean().item() - share) < 1e-5
    pixels = SimpleNamespace(mean=model.data_preprocessor.mean, std=model.data_preprocessor.std)
    tool.draw(columns, pixels, tmp_path / 'folder' / 'mixing.png')
    assert (tmp_path / 'folder' / 'mixing.png').stat().st_size < 150_000
    assert Image.open(tmp_path / 'folder' / 'mixing.png').width > 800
