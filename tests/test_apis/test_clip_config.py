"""What a config says of its clips is completed before a run, and a test of larger clips is told."""

import pytest
from mmengine.config import Config

from mmdas.apis import clip_config
from mmdas.apis.clip_config import last_size, pair, pipeline_of, prepare_clips, size_of_test
from mmdas.search.das import Policy, PolicyEdge

TURN = Policy(4, 1, (PolicyEdge(0, 2, 'rotate', 5.0),)).to_dict()
SHIFT = Policy(4, 1, (PolicyEdge(0, 2, 'translate_x', 0.05),)).to_dict()
LOAD = dict(type='LoadImageFromFile')


def seg_config(policy=TURN, kind='EncoderDecoder', test_cfg=None, scale=(128, 96)):
    preprocessor = dict(type='mmdas.DASSegDataPreProcessor', num_frames=4, policy=policy, size=(48, 64))
    test = dict(dataset=dict(pipeline=[LOAD, dict(type='Resize', scale=scale, keep_ratio=True)]))
    model = dict(type=kind, data_preprocessor=preprocessor, test_cfg=test_cfg or dict(mode='whole'))
    return Config(dict(default_scope='mmseg', model=model, test_dataloader=test))


def prepare(cfg) -> dict:
    preprocessor = cfg.model.get('data_preprocessor') or cfg.data_preprocessor
    prepare_clips(cfg, preprocessor)
    return preprocessor


@pytest.fixture
def messages(monkeypatch) -> list[str]:
    found = []
    monkeypatch.setattr(clip_config, 'print_log', lambda message, *args: found.append(message))
    return found


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        ('EncoderDecoder', 'mmdas.DASEncoderDecoder'),
        ('mmseg.EncoderDecoder', 'mmdas.DASEncoderDecoder'),
        ('CascadeEncoderDecoder', 'mmdas.DASCascadeEncoderDecoder'),
        ('mmdas.DASEncoderDecoder', 'mmdas.DASEncoderDecoder'),
        ('OwnSegmentor', 'OwnSegmentor'),
    ],
)
def test_plain_segmentor_of_clips_becomes_the_one_that_makes_them(kind, expected):
    cfg = seg_config(kind=kind)
    prepare(cfg)
    assert cfg.model.type == expected


def test_plain_model_stays_as_it_is():
    cfg = Config(dict(model=dict(type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'))))
    prepare(cfg)
    assert cfg.model.type == 'EncoderDecoder'


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({}, True),
        (dict(policy=SHIFT), False),
        (dict(scale=(64, 48)), False),
        (dict(scale=(64, 512)), True),
        (dict(test_cfg=dict(mode='slide', crop_size=(48, 64), stride=(32, 43))), False),
        (dict(test_cfg=dict(mode='slide', crop_size=(96, 128), stride=(64, 85))), True),
    ],
    ids=['larger', 'shifts', 'as the crops', 'one side', 'windows', 'large windows'],
)
def test_a_test_of_larger_clips_is_told_with_both_sizes(messages, options, told):
    prepare(seg_config(**options))
    assert len(messages) == told
    assert all('sides of 48 and 64 pixels' in message and 'rotate' in message for message in messages)


def test_larger_test_crops_of_a_classification_are_told(messages):
    train = [LOAD, dict(type='RandomResizedCrop', scale=224), dict(type='PackInputs')]
    test = [LOAD, dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=288)]
    preprocessor = dict(type='mmdas.DASClsDataPreprocessor', num_frames=4, policy=TURN, to_rgb=True)
    cfg = Config(
        dict(
            model=dict(type='ImageClassifier'),
            data_preprocessor=preprocessor,
            train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=train))),
            test_dataloader=dict(dataset=dict(pipeline=test)),
        )
    )
    prepare(cfg)
    assert len(messages) == 1 and '224 and 224' in messages[0] and '288' in messages[0]


@pytest.mark.parametrize(
    ('pipeline', 'options', 'order'),
    [
        ([LOAD], {}, 'bgr'),
        ([dict(type='RandomCrop', crop_size=32)], {}, 'rgb'),
        ([LOAD], dict(to_rgb=True), None),
        ([LOAD], dict(channel_order='rgb'), 'rgb'),
    ],
)
def test_order_of_unconverted_colours_follows_from_the_data(pipeline, options, order):
    preprocessor = dict(type='mmdas.DASClsDataPreprocessor', num_frames=4, policy=SHIFT, **options)
    loader = dict(dataset=dict(pipeline=pipeline))
    cfg = Config(dict(model=dict(type='ImageClassifier'), data_preprocessor=preprocessor, train_dataloader=loader))
    assert prepare(cfg).get('channel_order') == order


@pytest.mark.parametrize(('size', 'left_out'), [((48, 64), True), ((64, 48), True), ((96, 128), False)])
def test_padding_of_the_pipeline_is_left_to_the_preprocessor_or_told(messages, size, left_out):
    cfg = seg_config(policy=SHIFT)
    steps = [LOAD, dict(type='RandomCrop', crop_size=(48, 64)), dict(type='Pad', size=size), dict(type='PackSegInputs')]
    cfg.train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=steps)))
    prepare(cfg)
    kinds = [step.type for step in pipeline_of(cfg.train_dataloader)]
    assert ('Pad' not in kinds) == left_out
    assert len(messages) == 1 and ('left out' in messages[0]) == left_out


def test_sizes_are_read_in_any_form():
    assert pair(224) == (224, 224) and pair((128, 96)) == (96, 128) and pair('224') is None and pair((1, 2, 3)) is None
    assert last_size([dict(type='Resize', scale=(64, 32)), dict(type='RandomCrop', crop_size=(16, 24))]) == (16, 24)
    assert last_size([LOAD]) is None
    wrapped = dict(dataset=dict(type='ConcatDataset', datasets=[dict(pipeline=[LOAD])]))
    assert pipeline_of(wrapped) == [LOAD] and pipeline_of(None) == () and pipeline_of(dict(dataset={})) == ()
    assert size_of_test(seg_config()) == (96, 128)
