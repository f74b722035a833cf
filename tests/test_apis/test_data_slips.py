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


@pytest.mark.parametrize(
    'dataset',
    [
        dict(pipeline=[dict(type='RandomCrop', crop_size=32), dict(type='Resize', scale=(64, 64))]),
        dict(dataset=dict(pipeline=[dict(type='RandomCrop', crop_size=32)]), pipeline=[dict(type='RandomMosaic')]),
    ],
)
def test_crops_that_become_larger_are_not_padded(dataset: dict):
    cfg = dict(model=dict(data_preprocessor=dict(size=(64, 64))), train_dataloader=dict(dataset=dataset))
    assert find_slips(Config(cfg)) == []
    cfg['train_dataloader'] = dict(dataset=dict(datasets=[dict(pipeline=[dict(type='RandomCrop', crop_size=32)])]))
    (slip,) = find_slips(Config(cfg))
    assert slip.place == 'train_dataloader.dataset.datasets.0.pipeline.0'


@pytest.mark.parametrize('normalize', ['Normalize', 'torchvision/Normalize'])
def test_images_that_are_normalised_twice_are_told(normalize: str):
    def places(own: int = 1, **preprocessor) -> list[str]:
        step = dict(type=normalize, mean=[own], std=[1])
        loader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), step]))
        model = dict(data_preprocessor=preprocessor)
        return [slip.place for slip in find_slips(Config(dict(model=model, val_dataloader=loader)))]

    assert places(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4]) == ['val_dataloader.dataset.pipeline.1']
    assert places(mean=[0, 0, 0], std=[1, 1, 1]) == places(mean=None) == places() == places(own=0, mean=[1]) == []


def test_class_that_the_training_ignores_and_the_test_counts_is_told():
    def texts(ignored: int, **metric) -> list[str]:
        model = dict(decode_head=[dict(num_classes=3), dict(num_classes=3, ignore_index=ignored)])
        evaluator = [dict(type='mmseg.IoUMetric', **metric)]
        return [slip.text for slip in find_slips(Config(dict(model=model, val_evaluator=evaluator)))]

    (text,) = texts(0)
    assert text.startswith('IoUMetric counts class 0, which the training ignores')
    assert texts(0, ignore_index=0) == texts(255) == texts(255, ignore_index=0) == []


def test_sampler_of_a_test_that_never_ends_is_told():
    loaders = {f'{part}_dataloader': dict(sampler=dict(type='InfiniteSampler')) for part in ('train', 'val')}
    (slip,) = find_slips(Config(loaders))
    assert (slip.place, slip.text) == ('val_dataloader.sampler', 'InfiniteSampler never ends')


def test_heads_of_other_classes_are_told():
    def places(*classes: int) -> list[str]:
        heads = [dict(type='FCNHead', num_classes=number) for number in classes]
        model = dict(decode_head=heads[0], auxiliary_head=heads[1:] if len(heads) > 2 else heads[1])
        return [slip.place for slip in find_slips(Config(dict(model=model)))]

    assert places(21, 19) == ['model.auxiliary_head']
    assert places(21, 21, 19) == ['model.auxiliary_head.1']
    assert places(21, 21) == []
    assert places(2, 1) == places(1, 2) == []  # one channel for two labels
    edges = dict(decode_head=dict(num_classes=19), auxiliary_head=dict(type='STDCHead', num_classes=2))
    assert find_slips(Config(dict(model=edges))) == []
    pooled = dict(decode_head=dict(head=dict(num_classes=21)), auxiliary_head=dict(head=dict(num_classes=19)))
    assert [slip.place for slip in find_slips(Config(dict(model=pooled)))] == ['model.auxiliary_head']


def test_accuracy_of_more_than_all_classes_is_told():
    def remedies(classes: int, **metric) -> list[str]:
        cfg = dict(model=dict(head=dict(num_classes=classes)), val_evaluator=dict(type='Accuracy', **metric))
        return [slip.remedy for slip in find_slips(Config(cfg))]

    assert remedies(3, topk=(1, 5)) == ['set topk=(1,)']
    assert remedies(5, topk=(1, 5)) == remedies(3, topk=1) == remedies(3) == []
