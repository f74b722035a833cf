"""One checkpoint for any number of frames: windows of a clip around the image."""

import copy

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmdas.apis import DASOptions, convert, load_config, set_used_frames
from mmdas.models.data_preprocessors.frame_window import cut_clip, fill_frames, window
from mmdas.ops.clip import reference_frame
from mmdas.ops.temporal import shift_channels
from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyEdge

T, K, SIZE = 4, 3, 16
TOOLBOXES = ('mmseg', 'mmpretrain')
each_toolbox = pytest.mark.parametrize('toolbox', TOOLBOXES)
CHAIN = Policy(T, 1, (PolicyEdge(0, 2, 'translate_x', 0.1),), reference_size=(SIZE, SIZE)).to_dict()


def plain_config(toolbox: str) -> dict:
    seg = toolbox == 'mmseg'
    backbone = dict(type='ResNet' if seg else 'ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2))
    backbone.update(dilations=(1, 1), base_channels=4, stem_channels=4, out_indices=(1,))
    preprocessor = dict(mean=[120.0] * 3, std=[60.0] * 3, **(dict(size=(SIZE, SIZE)) if seg else dict(num_classes=K)))
    if not seg:
        head = dict(type='LinearClsHead', num_classes=K, in_channels=8)
        parts = dict(type='ImageClassifier', neck=dict(type='GlobalAveragePooling'), head=head)
        return dict(**parts, data_preprocessor=dict(type='ClsDataPreprocessor', **preprocessor), backbone=backbone)
    head = dict(type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1, concat_input=False)
    head.update(dropout_ratio=0, num_classes=K, align_corners=False, norm_cfg=dict(type='BN'))
    parts = dict(type='EncoderDecoder', decode_head=head, train_cfg={}, test_cfg=dict(mode='whole'))
    return dict(**parts, data_preprocessor=dict(type='SegDataPreProcessor', **preprocessor), backbone=backbone)


def config(toolbox: str, fusion: str = 'tsm', any_frames: bool = True, **options) -> Config:
    """The config of DAS that the conversion makes of a plain one, with its policy in it."""
    plain = Config(dict(default_scope=toolbox, model=plain_config(toolbox)))
    made = convert(plain, 'das', DASOptions(T, fusion, any_frames=any_frames, **options))
    made.model.data_preprocessor.policy = CHAIN
    return made


def build(cfg: Config):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        torch.manual_seed(0)
        model = MODELS.build(ConfigDict(copy.deepcopy(cfg.model.to_dict())))
        model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.eval()


def make_batch(toolbox: str, count: int = 3) -> dict:
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8)
    if toolbox == 'mmpretrain':
        return dict(inputs=images, data_samples=[DataSample().set_gt_label(n % K) for n in range(count)])
    samples = [SegDataSample(metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE))) for _ in range(count)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(0, K, (1, SIZE, SIZE)))
    return dict(inputs=list(images), data_samples=samples)


def scores(model, batch: dict) -> torch.Tensor:
    """What the model predicts."""
    with torch.no_grad():
        found = model.test_step(copy.deepcopy(batch))
    if hasattr(found[0], 'seg_logits'):
        return torch.stack([sample.seg_logits.data for sample in found])
    return torch.stack([sample.pred_score for sample in found])


@pytest.mark.parametrize('used', [1, 2, 3, 4, 5, 8])
def test_a_window_lies_around_the_reference_frame(used):
    for frames in range(used, 9):
        places = list(range(frames))[window(frames, used)]
        assert len(places) == used
        assert places[reference_frame(used)] == reference_frame(frames)


def test_filling_a_window_and_cutting_it_again_changes_nothing():
    maps = torch.rand(2, 3, 5)
    whole = fill_frames(maps, 4)
    assert torch.equal(whole[window(4, 2)], maps)
    assert int((whole.flatten(1).abs().sum(1) > 0).sum()) == 2
    clip = torch.arange(12.0).view(1, 12, 1, 1)  # frames of 3 channels
    assert cut_clip(clip, 4, 2).flatten().tolist() == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize('frames', [1, 2, 3])
def test_a_replicated_border_keeps_what_no_other_frame_gives(frames):
    x = torch.rand(2 * frames, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    clips = x.view(2, frames, 6, 3, 3)
    expected = clips.clone()
    for t in range(frames):
        expected[:, t, :2] = clips[:, min(t + 1, frames - 1), :2]
        expected[:, t, 2:4] = clips[:, max(t - 1, 0), 2:4]
    assert torch.equal(shift_channels(x, frames, 2, replicate=True), expected.view_as(x))
    assert torch.autograd.gradcheck(lambda value: shift_channels(value, frames, 2, replicate=True), x)


@each_toolbox
def test_one_frame_is_the_plain_model(toolbox):
    cfg = config(toolbox)
    set_used_frames(cfg, 1)
    model, batch = build(cfg), make_batch(toolbox)
    with DefaultScope.overwrite_default_scope(toolbox):
        plain = MODELS.build(ConfigDict(plain_config(toolbox)))
    weights = {key: value for key, value in model.state_dict().items() if not key.endswith('_extra_state')}
    plain.load_state_dict(weights)
    assert torch.equal(scores(model, batch), scores(plain.eval(), batch))


@each_toolbox
@pytest.mark.parametrize('used', [2, 4])
@pytest.mark.parametrize('fusion', ['tsm', 'gsf', 'none'])
def test_fewer_frames_are_those_of_a_model_of_so_many(toolbox, fusion, used):
    """The window of a chain's clip is the clip of the same chain with fewer frames."""
    cfg = config(toolbox, fusion)
    set_used_frames(cfg, used)
    model, batch = build(cfg), make_batch(toolbox)
    other_cfg = config(toolbox, fusion)
    policy = {**CHAIN, 'num_frames': used}
    other_cfg.model.data_preprocessor.update(num_frames=used, policy=policy, frame_dropout=())
    for part in ('backbone', 'decode_head' if toolbox == 'mmseg' else 'head'):
        other_cfg.model[part].update(num_frames=used, any_frames=False)
    other = build(other_cfg)
    other.load_state_dict({k: v for k, v in model.state_dict().items() if not k.endswith('_extra_state')}, strict=False)
    torch.testing.assert_close(scores(model, batch), scores(other, batch))


@each_toolbox
def test_a_training_draws_the_frames_of_each_batch(toolbox):
    model, batch = build(config(toolbox)).train(), make_batch(toolbox)
    seen = set()
    for _ in range(12):
        losses = model(**model.data_preprocessor(copy.deepcopy(batch), training=True), mode='loss')
        seen.add(model.data_preprocessor.frames_now)
        total = sum(value.sum() for key, value in losses.items() if 'loss' in key)
        total.backward()
    assert seen == {1, 2, 4}
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)
    model.eval()
    assert scores(model, batch).shape[0] == 3
    assert model.data_preprocessor.frames_now == T


def test_aligned_maps_of_fewer_frames_are_carried_back_by_their_own_warps():
    cfg = config('mmseg', 'none', pooling='aligned')
    set_used_frames(cfg, 2)
    preprocessor = build(cfg).data_preprocessor
    maps = torch.rand(T, 2, K, SIZE, SIZE)
    whole = preprocessor.unwarp(maps, (SIZE, SIZE))
    torch.testing.assert_close(preprocessor.unwarp(maps[window(T, 2)], (SIZE, SIZE)), whole[window(T, 2)])
    assert not torch.equal(whole[0], maps[0])


@each_toolbox
def test_scores_without_samples_are_those_of_the_frames_that_are_used(toolbox):
    cfg = config(toolbox)
    set_used_frames(cfg, 2)
    model, batch = build(cfg), make_batch(toolbox)
    inputs = model.data_preprocessor(batch, False)['inputs']
    with torch.no_grad():
        assert len(model(inputs, mode='tensor')) == 3


def test_what_does_not_go_together_is_refused():
    cfg = config('mmseg', any_frames=False)
    with pytest.raises(ValueError, match=r'but model.backbone.any_frames is not set'):
        set_used_frames(cfg, 2)
    with pytest.raises(ValueError, match='--use-frames 8: model.data_preprocessor.num_frames is 4'):
        set_used_frames(config('mmseg'), 8)
    with pytest.raises(ValueError, match=r'frame_dropout has 5, expected whole numbers from 1 to num_frames=4'):
        broken = config('mmseg')
        broken.model.data_preprocessor.frame_dropout = (1, 5)
        build(broken)
    with pytest.raises(ValueError, match='border of TemporalShift must be one of'):
        MODELS.build(dict(type='mmdas.TemporalShift', channels=8, num_frames=2, border='mirror'))
    with pytest.raises(ValueError, match='leave it out of a search'):
        searching = config('mmseg')
        searching.model.data_preprocessor.update(policy=None, cell=dict(type='mmdas.DASCell'))
        build(searching)


def test_the_conversion_and_its_files_say_the_same():
    name = 'resnet18_8xb16_cifar10'
    made = load_config(name, das='das', options=DASOptions(T, 'tsm', policy='p.json', any_frames=True))
    assert made.data_preprocessor.frame_dropout == [1, 2, 4]
    assert made.model.backbone.fusion == dict(type='mmdas.TemporalShift', border='replicate')
    assert made.model.head.any_frames
    assert DASOptions(6).frame_choices() == [1, 2, 4, 6]
