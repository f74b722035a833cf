"""The words of ``--augment`` on plain configs of both toolboxes."""

import copy
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmdas.apis import WORDS, ConversionError, DASOptions, convert, set_augment
from mmdas.apis.augment_words import MIXING
from mmdas.commands.train import FIXED, STEPS
from mmdas.search import PolicyError
from mmdas.search.augmentation import AugmentPolicy

K, SIZE, COUNT = 3, 32, 4
TOOLBOXES = ('mmseg', 'mmpretrain')
each_toolbox = pytest.mark.parametrize('toolbox', TOOLBOXES)
NORM = dict(mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True)


def plain_config(toolbox: str, **options) -> Config:
    """A small plain model."""
    seg = toolbox == 'mmseg'
    backbone = dict(type='ResNet' if seg else 'ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2))
    backbone.update(dilations=(1, 1), base_channels=4, stem_channels=4, out_indices=(1,))
    if seg:
        head = dict(type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1, concat_input=False)
        head.update(dropout_ratio=0, num_classes=K, align_corners=False, norm_cfg=dict(type='BN'))
        preprocessor = dict(type='SegDataPreProcessor', **NORM, size=(SIZE, SIZE))
        model = dict(type='EncoderDecoder', decode_head=head, train_cfg={}, test_cfg=dict(mode='whole'))
    else:
        head = dict(type='LinearClsHead', num_classes=K, in_channels=8, cal_acc=True)
        norm = {**NORM, 'to_rgb': NORM['bgr_to_rgb']}
        norm.pop('bgr_to_rgb')
        preprocessor = dict(type='ClsDataPreprocessor', **norm, num_classes=K)
        model = dict(type='ImageClassifier', neck=dict(type='GlobalAveragePooling'), head=head)
    model.update(data_preprocessor=preprocessor, backbone=backbone)
    pipeline = [dict(type='RandomCrop', crop_size=SIZE)]
    loader = dict(batch_size=COUNT, dataset=dict(type='CustomDataset', pipeline=pipeline))
    return Config(dict(default_scope=toolbox, model=model, train_dataloader=loader, work_dir='runs/plain', **options))


def make_batch(toolbox: str) -> dict:
    images = torch.randint(0, 256, (COUNT, 3, SIZE, SIZE), dtype=torch.uint8)
    if toolbox == 'mmpretrain':
        return dict(inputs=images, data_samples=[DataSample().set_gt_label(n % K) for n in range(COUNT)])
    samples = [SegDataSample(metainfo=dict(img_shape=(SIZE, SIZE))) for _ in range(COUNT)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(0, K, (1, SIZE, SIZE)))
    return dict(inputs=list(images), data_samples=samples)


def step(cfg: Config, toolbox: str) -> tuple[torch.Tensor, dict]:
    """Images that the network of a config sees in its training, and its losses."""
    with DefaultScope.overwrite_default_scope(toolbox):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
    model.data_preprocessor.augments.use_model(model)
    data = model.data_preprocessor(make_batch(toolbox), training=True)
    return data['inputs'], model(**data, mode='loss')


@each_toolbox
@pytest.mark.parametrize('word', ['randaugment', *STEPS, 'keep-randaugment'])
def test_a_plain_model_takes_a_step_with_each_word(toolbox, word):
    cfg = plain_config(toolbox)
    if (toolbox, word) == ('mmseg', 'mixup'):
        with pytest.raises(ConversionError, match='mixup gives a pixel two labels.* take cutmix or puzzle-mix'):
            set_augment(cfg, word)
        return
    set_augment(cfg, word, own_folder=True)
    assert cfg.work_dir == f'runs/plain_{word}'
    images, losses = step(cfg, toolbox)
    assert images.shape == (COUNT, 3, SIZE, SIZE)
    total = sum(value.sum() for name, value in losses.items() if 'loss' in name)
    assert torch.isfinite(total)
    total.backward()


@pytest.mark.parametrize('word', WORDS)
def test_each_word_gives_a_step_of_its_own(word):
    cfg = plain_config('mmpretrain')
    set_augment(cfg, word)
    (augment,) = cfg.model.data_preprocessor.augments
    assert (augment['type'] == 'mmdas.KeepPaste') == (word.startswith('keep-') and word not in STEPS)
    if 'policy' in augment:
        AugmentPolicy.from_dict(augment['policy'])


@each_toolbox
def test_words_act_one_after_the_other(toolbox):
    cfg = plain_config(toolbox)
    set_augment(cfg, ['randaugment', 'keep-cutout', 'cutmix'], own_folder=True)
    kinds = [augment['type'] for augment in cfg.model.data_preprocessor.augments]
    mix = 'mmdas.SegCutMix' if toolbox == 'mmseg' else 'mmdas.CutMix'
    assert kinds == ['mmdas.PolicyAugment', 'mmdas.KeepCutout', mix]
    assert cfg.work_dir == 'runs/plain_randaugment_keep-cutout_cutmix'
    assert torch.isfinite(sum(value.sum() for name, value in step(cfg, toolbox)[1].items() if 'loss' in name))


@each_toolbox
def test_words_come_behind_the_steps_of_the_config(toolbox):
    cfg = plain_config(toolbox)
    name = 'DASSegDataPreProcessor' if toolbox == 'mmseg' else 'DASClsDataPreprocessor'
    cfg.model.data_preprocessor.update(type=f'mmdas.{name}', augments=[dict(type='mmdas.HideAndSeek')])
    set_augment(cfg, 'cutmix')
    kinds = [step['type'] for step in cfg.model.data_preprocessor.augments]
    assert kinds == ['mmdas.HideAndSeek', 'mmdas.SegCutMix' if toolbox == 'mmseg' else 'mmdas.CutMix']
    step(cfg, toolbox)


@each_toolbox
def test_a_config_with_steps_becomes_one_of_das_that_keeps_them(toolbox):
    cfg = plain_config(toolbox, train_cfg=dict(max_iters=4))
    name = 'DASSegDataPreProcessor' if toolbox == 'mmseg' else 'DASClsDataPreprocessor'
    cfg.model.data_preprocessor.update(type=f'mmdas.{name}', augments=[dict(type='mmdas.HideAndSeek')])
    made = convert(cfg, 'repeat', DASOptions(2)).model.data_preprocessor
    assert (made.num_frames, [step['type'] for step in made.augments]) == (2, ['mmdas.HideAndSeek'])
    cfg.model.data_preprocessor.num_frames = 2
    with pytest.raises(ConversionError, match='makes clips already; give the plain config'):
        convert(cfg, 'repeat', DASOptions(2))


def test_mixed_labels_reach_the_loss_as_shares():
    torch.manual_seed(0)
    cfg = plain_config('mmpretrain')
    set_augment(cfg, 'mixup')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
    model.data_preprocessor.augments.use_model(model)
    data = model.data_preprocessor(make_batch('mmpretrain'), training=True)
    shares = torch.stack([sample.gt_score for sample in data['data_samples']])
    torch.testing.assert_close(shares.sum(1), torch.ones(COUNT))
    assert (shares.max(1).values < 1).any()
    logits = model(data['inputs'], mode='tensor')
    expected = -(shares * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(model(**data, mode='loss')['loss'], expected)


@pytest.mark.parametrize(
    ('words', 'kind', 'message'),
    [
        (['cutmix', 'mixup'], ConversionError, 'cutmix and mixup mix what is mixed already'),
        (['randaugment', 'randaugment'], ConversionError, 'randaugment is named twice'),
        ([], ConversionError, 'names nothing'),
        ('randaugmnt', FileNotFoundError, 'did you mean randaugment'),
        (['cutmix', 'dropblock'], ConversionError, 'dropblock is a regulariser, which --regularize takes'),
        ('keep-randaugmnt', FileNotFoundError, 'did you mean'),
        ({'sub_policies': []}, PolicyError, 'schema_version'),
    ],
)
def test_what_cannot_be_is_told(words, kind, message):
    with pytest.raises(kind, match=message):
        set_augment(plain_config('mmpretrain'), words)


@pytest.mark.parametrize('toolbox', ['mmpretrain', 'mmseg'])
def test_batches_of_one_are_not_mixed_in_silence(toolbox):
    cfg = plain_config(toolbox)
    cfg.train_dataloader.batch_size = 1
    set_augment(copy.deepcopy(cfg), ['randaugment', 'hide-and-seek', 'keep-cutout'])
    for word in MIXING if toolbox == 'mmpretrain' else ('cutmix', 'puzzle-mix', 'keep-cutmix'):
        with pytest.raises(ConversionError, match=f'{word} mixes two images of a batch, but .*batch_size is 1; raise'):
            set_augment(copy.deepcopy(cfg), word)


def test_a_config_that_mixes_itself_takes_no_mixer():
    cfg = plain_config('mmpretrain')
    cfg.model.train_cfg = dict(augments=[dict(type='Mixup', alpha=0.2)])
    set_augment(copy.deepcopy(cfg), 'randaugment')
    for word in MIXING:
        with pytest.raises(ConversionError, match=r'mixes labels already: model\.train_cfg\.augments'):
            set_augment(copy.deepcopy(cfg), word)


@pytest.mark.parametrize('prefix', ['', 'keep-'])
def test_a_policy_of_another_kind_is_told_with_its_option(prefix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edge = dict(source=0, target=2, operation='rotate', strength=3.0)
    frames = dict(schema_version=2, num_frames=4, num_nodes=1, edges=[edge])
    for name, content in {'frames': frames, 'views': dict(kind='test-time')}.items():
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    with pytest.raises(PolicyError, match='frames.json is a policy of frames, which --das takes'):
        set_augment(plain_config('mmseg'), f'{prefix}frames.json')
    with pytest.raises(PolicyError, match='views.json is a policy of views, which mmdas test and predict take'):
        set_augment(plain_config('mmseg'), f'{prefix}views.json')


@pytest.mark.parametrize('word', ['mixup', 'hide-and-seek', 'keep-cutout'])
def test_what_is_no_policy_takes_no_prefix(word):
    with pytest.raises(ConversionError, match=f'keep- goes before a policy, such as keep-randaugment, and {word} is'):
        set_augment(plain_config('mmpretrain'), f'keep-{word}')


def test_the_help_of_the_command_names_all_words():
    assert set(STEPS) | set(FIXED) <= set(WORDS)
    assert {word for word in WORDS if not word.startswith(('keep-', 'autoaugment-'))} <= {*STEPS, *FIXED}
