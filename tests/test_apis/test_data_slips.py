"""Pipelines, data preprocessors and evaluators that do not go together are told."""

import pytest
from mmengine.config import Config

from mmdas.apis import find_slips


def test_crops_that_are_padded_are_told_with_their_share():
    def slips(crop, size) -> list:
        steps = [dict(type='RandomCrop', crop_size=crop)]
        model = dict(data_preprocessor=dict(size=size))
        return find_slips(Config(dict(model=model, train_dataloader=dict(dataset=dict(pipeline=steps)))))

    (slip,) = slips((32, 64), (64, 64))
    assert slip.place == 'train_dataloader.dataset.pipeline.0' and '50% of what' in slip.text
    assert slips((64, 64), (64, 64)) == slips(64, (64, 64)) == slips((64, 64), None) == slips(8, (0, -1)) == []


@pytest.mark.parametrize('normalize', ['Normalize', 'torchvision/Normalize'])
def test_images_that_are_normalised_twice_are_told(normalize: str):
    def places(**preprocessor) -> list[str]:
        loader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), dict(type=normalize, mean=[1], std=[1])]))
        model = dict(data_preprocessor=preprocessor)
        return [slip.place for slip in find_slips(Config(dict(model=model, val_dataloader=loader)))]

    assert places(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4]) == ['val_dataloader.dataset.pipeline.1']
    assert places(mean=[0, 0, 0], std=[1, 1, 1]) == places(mean=None) == places() == []


def test_class_that_the_training_ignores_and_the_test_counts_is_told():
    def texts(ignored: int, **metric) -> list[str]:
        model = dict(decode_head=[dict(num_classes=3), dict(num_classes=3, ignore_index=ignored)])
        evaluator = [dict(type='mmseg.IoUMetric', **metric)]
        return [slip.text for slip in find_slips(Config(dict(model=model, val_evaluator=evaluator)))]

    (text,) = texts(0)
    assert text.startswith('IoUMetric counts class 0, which the training ignores')
    assert texts(0, ignore_index=0) == texts(255) == texts(255, ignore_index=0) == []
