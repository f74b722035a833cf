import pytest
import torch
from mmseg.structures import SegDataSample
from PIL import Image
from tool_scripts import load_script

tool = load_script('visualization/views_figure.py')


@pytest.mark.slow
def test_columns_are_what_the_network_predicts_and_the_file_is_small(tmp_path):
    images, labels = tool.make_scenes(2, seed=3)
    columns = tool.columns_of(images, labels, confidence=0.8)
    model, samples = tool.load_model(), [SegDataSample(metainfo={'ori_shape': (48, 48), 'img_shape': (48, 48)})] * 2
    with torch.no_grad():
        predicted = model.test_step(dict(inputs=list(images), data_samples=samples))
    for found, sample in zip(columns['by the image'], predicted, strict=True):
        assert torch.equal(found, sample.pred_sem_seg.data[0])
    label, mean = columns['label, from 0.8'], columns['mean']
    assert 0 < (label < 0).float().mean() < 0.5
    assert torch.equal(label[label >= 0], mean[label >= 0])
    assert (tool.columns_of(images, labels, confidence=0.0)['label, from 0'] == mean).all()
    tool.draw(columns, tmp_path / 'folder' / 'views.png')
    assert (tmp_path / 'folder' / 'views.png').stat().st_size < 150_000
    assert Image.open(tmp_path / 'folder' / 'views.png').width > 800
