"""Words for regularisers, in any config."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from tool_scripts import load_script

from mmdas.apis import REGULARIZERS, ConversionError, DASOptions, load_config, set_regularizers
from mmdas.commands import main, train

DIGITS = str(Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')
CIFAR = 'resnet18_8xb16_cifar10'
SEGMENTOR = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
SMOOTH = dict(type='mmdas.SmoothCrossEntropyLoss', smoothing=0.1)


def config(head: dict | list, auxiliary: dict | list | None = None, scope: str = 'mmseg', **options) -> Config:
    """A config of a backbone and heads."""
    heads = dict(decode_head=head, auxiliary_head=auxiliary) if scope == 'mmseg' else dict(head=head)
    kind = 'EncoderDecoder' if scope == 'mmseg' else 'ImageClassifier'
    model = dict(type=kind, backbone=dict(type='ResNet'), **heads)
    return Config(dict(default_scope=scope, work_dir='run', model=model, **options))


def test_labels_of_every_head_of_a_segmentor_are_smoothed_with_the_other_options_kept():
    cfg = load_config(SEGMENTOR)
    plain = copy.deepcopy(cfg.model)
    set_regularizers(cfg, ['label-smoothing'])
    assert cfg.model.decode_head.loss_decode == {**SMOOTH, 'loss_weight': 1.0}
    assert cfg.model.auxiliary_head.loss_decode == {**SMOOTH, 'loss_weight': 0.4}
    for head in ('decode_head', 'auxiliary_head'):
        plain[head].loss_decode = cfg.model[head].loss_decode
    assert cfg.model == plain
    with DefaultScope.overwrite_default_scope('mmseg'):
        loss = MODELS.build(cfg.model.auxiliary_head).loss_decode
    assert (loss.smoothing, loss.loss_weight) == (0.1, 0.4)


def test_labels_of_a_classifier_are_smoothed_by_its_toolbox():
    cfg = load_config(CIFAR)
    set_regularizers(cfg, ['label-smoothing'])
    assert cfg.model.head.loss == dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, loss_weight=1.0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(cfg.model.head)
    head.eval()
    features, labels = (torch.randn(4, 512),), torch.randint(10, (4,))
    expected = torch.nn.functional.cross_entropy(head(features), labels, label_smoothing=0.1)
    torch.testing.assert_close(head.loss_module(head(features), labels), expected)


@pytest.mark.parametrize(('name', 'head'), [(SEGMENTOR, 'decode_head'), (CIFAR, 'head')])
def test_a_model_of_das_is_smoothed_too(name, head):
    cfg = load_config(name, das='repeat', options=DASOptions(2, 'tsm'))
    set_regularizers(cfg, REGULARIZERS)
    inner = cfg.model[head]['head']
    kinds = {str(node.get('type')) for node in inner.values() if isinstance(node, dict)}
    assert kinds & {'mmdas.SmoothCrossEntropyLoss', 'mmpretrain.LabelSmoothLoss'}
    assert [hook['feature']['type'] for hook in cfg.custom_hooks if 'feature' in hook] == [
        'mmdas.DropBlock',
        'mmdas.ADL',
        'mmdas.MixStyle',
    ]


def test_the_loss_that_a_head_leaves_out_is_that_of_its_class():
    cfg = config(dict(type='FCNHead', num_classes=3))
    set_regularizers(cfg, ['label-smoothing'])
    assert cfg.model.decode_head.loss_decode == {**SMOOTH, 'loss_weight': 1.0}
    cfg = config(dict(type='LinearClsHead', num_classes=3), scope='mmpretrain')
    set_regularizers(cfg, ['label-smoothing'])
    assert cfg.model.head.loss.type == 'mmpretrain.LabelSmoothLoss'


def test_of_several_losses_the_cross_entropy_is_smoothed_and_an_auxiliary_head_without_one_stays(monkeypatch):
    told: list[str] = []
    monkeypatch.setattr('mmdas.apis.regularize_config.print_log', lambda text, **_: told.append(text))
    weighted = dict(type='CrossEntropyLoss', use_sigmoid=False, class_weight=[1.0, 2.0], avg_non_ignore=True)
    dice = dict(type='DiceLoss', loss_weight=3.0)
    edges = dict(type='STDCHead', loss_decode=[dict(type='CrossEntropyLoss', use_sigmoid=True), dice])
    plain = dict(type='FCNHead', loss_decode=dict(type='CrossEntropyLoss'))
    cfg = config(dict(type='FCNHead', loss_decode=[weighted, dice]), [plain, edges])
    set_regularizers(cfg, ['label-smoothing'])
    kept = dict(class_weight=[1.0, 2.0], avg_non_ignore=True)
    assert cfg.model.decode_head.loss_decode == [{**SMOOTH, **kept}, dice]
    assert cfg.model.auxiliary_head[0].loss_decode == SMOOTH
    assert cfg.model.auxiliary_head[1] == edges
    (message,) = told
    assert 'model.auxiliary_head.1 has CrossEntropyLoss (use_sigmoid=True) and DiceLoss, not Cross' in message


@pytest.mark.parametrize(
    ('scope', 'head', 'match'),
    [
        ('mmseg', dict(type='FCNHead', loss_decode=dict(type='DiceLoss')), r'model\.decode_head has DiceLoss, not'),
        ('mmseg', dict(type='FCNHead', loss_decode=SMOOTH), r'model\.decode_head has SmoothCrossEntropyLoss, not'),
        ('mmpretrain', dict(type='MultiLabelLinearClsHead'), r'model\.head has CrossEntropyLoss \(use_sigmoid=True\)'),
        (
            'mmpretrain',
            dict(type='ClsHead', loss=dict(type='LabelSmoothLoss')),
            r'model\.head has LabelSmoothLoss, not',
        ),
        ('mmpretrain', None, 'the model has no head whose loss could smooth its labels'),
        ('elsewhere', dict(type='Head'), 'model.type is ImageClassifier, and labels of those of MMSeg'),
    ],
)
def test_labels_that_cannot_be_smoothed_are_refused(scope, head, match):
    with pytest.raises(ConversionError, match=f'label-smoothing: {match}'):
        set_regularizers(config(head, scope=scope), ['label-smoothing'])


def test_a_pretraining_without_labels_is_refused():
    cfg = load_config('simclr_resnet50_8xb32-coslr-200e_in1k')
    assert cfg.model.head.loss.type == 'CrossEntropyLoss'  # over the images of a batch
    with pytest.raises(ConversionError, match='model.type is SimCLR, and labels of ImageClassifier can be smoothed'):
        set_regularizers(cfg, ['label-smoothing'])


@pytest.mark.parametrize(
    ('words', 'options', 'match'),
    [
        (
            ['mixstile'],
            {},
            'there is no regulariser mixstile; did you mean mixstyle[?] they are label-smoothing, dropb',
        ),
        (['Label_Smoothing'], {}, 'no regulariser Label_Smoothing; did you mean label-smoothing[?]'),
        (['cutmix'], {}, 'there is no regulariser cutmix; --augment takes it; they are'),
        (['adl', 'adl'], {}, 'the regulariser adl is named twice; leave one out'),
        (['mixstyle'], dict(train_dataloader=dict(batch_size=1)), 'train_dataloader.batch_size is 1'),
        (
            ['adl'],
            dict(model=dict(type='X')),
            'acts on the features of model.backbone, which this config does not have',
        ),
        (
            ['dropblock'],
            dict(data_preprocessor=dict(cell=dict(type='mmdas.DASCell'))),
            'selection of a search compares',
        ),
        (
            ['adl'],
            dict(custom_hooks=[dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.ADL', threshold=0.9))]),
            r'custom_hooks of the config has mmdas\.ADL already; leave adl out',
        ),
    ],
)
def test_a_word_that_does_not_go_with_the_config_is_refused(words, options, match):
    cfg = config(dict(type='FCNHead'))
    for key, value in options.items():
        cfg[key] = value
    with pytest.raises(ConversionError, match=match):
        set_regularizers(cfg, words)


def test_the_hooks_of_the_config_stay():
    other = dict(type='EMAHook')
    cfg = config(dict(type='FCNHead'), custom_hooks=[other])
    set_regularizers(cfg, ['adl', 'dropblock'])
    added = [dict(type='mmdas.FeatureHook', feature=dict(type=kind)) for kind in ('mmdas.ADL', 'mmdas.DropBlock')]
    assert cfg.custom_hooks == [other, *added]
    assert cfg.work_dir == 'run'


def test_the_command_knows_all_words():
    assert train.REGULARIZERS == REGULARIZERS


def test_a_slip_of_the_command_is_one_line(capsys):
    assert main(['train', CIFAR, '--regularize', 'dropblok']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'there is no regulariser dropblok; did you mean dropblock?' in line


@pytest.mark.slow
def test_the_command_trains_with_regularisers_in_a_folder_of_its_own(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(tmp_path / 'scenes', num_train=4, num_val=1)
    short = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2']
    short += ['train_dataloader.batch_size=2']
    short += [f'{part}_dataloader.dataset.data_root={tmp_path / "scenes"}' for part in ('train', 'val')]
    code = main(['train', DIGITS, '--cfg-options', *short, '--regularize', *REGULARIZERS])
    output, errors = capfd.readouterr()
    assert code == 0, errors
    for line in ('DropBlock(rate=0.1, block_size=7, ramp=1.0) acts on ', 'ADL(drop_rate=0.75', 'MixStyle(prob'):
        assert line in output
    work_dir = f'work_dirs/{Path(DIGITS).stem}_label-smoothing_dropblock_adl_mixstyle'
    checkpoint = torch.load(tmp_path / work_dir / 'iter_2.pth', weights_only=True)
    with DefaultScope.overwrite_default_scope('mmseg'):
        MODELS.build(load_config(DIGITS).model).load_state_dict(checkpoint['state_dict'])
