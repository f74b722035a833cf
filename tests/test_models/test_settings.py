"""Settings that decide a prediction travel with the weights and are compared on loading."""

import copy
import logging

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict, load_state_dict, weights_to_cpu
from mmpretrain.models import AverageClsScoreTTA
from records import without_records
from torch import nn

from mmdas.models.settings import KEY, decode, differences, encode
from mmdas.registry import MODELS
from mmdas.search.das import Policy

T, K = 4, 3
POLICY = Policy.random(T, seed=1)
BACKBONE = dict(
    type='ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,), base_channels=8
)
HEAD = dict(type='LinearClsHead', num_classes=K, in_channels=16, topk=(1,))
GSF, TSM = dict(type='mmdas.GateShiftFuse'), dict(type='mmdas.TemporalShift')


def build(num_frames=T, fusion=GSF, pooling='mean', stages=None, accept=False, plain=False, **source) -> nn.Module:
    backbone = dict(BACKBONE, stem_channels=8)
    config = dict(type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'), head=HEAD)
    if not plain:
        shared = dict(num_frames=num_frames, accept_difference=accept)
        config['backbone'] = dict(
            type='mmdas.FrameFusionBackbone', backbone=backbone, fusion=fusion, stages=stages, **shared
        )
        config['head'] = dict(type='mmdas.TemporalPoolingClsHead', head=HEAD, pooling=pooling, **shared)
        config['data_preprocessor'] = dict(type='mmdas.DASClsDataPreprocessor', **shared, **source)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(copy.deepcopy(config))


def saved(model: nn.Module, tmp_path) -> str:
    """A checkpoint as MMEngine's runner writes it."""
    file = tmp_path / 'model.pth'
    save_checkpoint({'state_dict': weights_to_cpu(get_state_dict(model))}, str(file))
    return str(file)


@pytest.fixture(scope='module')
def trained() -> nn.Module:
    return build(policy=POLICY.to_dict())


@pytest.fixture(scope='module')
def checkpoint(trained, tmp_path_factory) -> str:
    return saved(trained, tmp_path_factory.mktemp('trained'))


@pytest.fixture
def warned(monkeypatch) -> list[str]:
    """What the modules and MMEngine's loading warn of."""
    messages = []

    def keep(message, logger=None, level=logging.INFO):
        if level >= logging.WARNING:
            messages.append(message)

    for name in (
        'mmdas.models.settings.print_log',
        'mmdas.models.backbones.frame_fusion_backbone.print_log',
        'mmengine.runner.checkpoint.print_log',
    ):
        monkeypatch.setattr(name, keep)
    return messages


OTHER = Policy.random(T, seed=2)
DIFFERENT = {
    'another policy': (dict(policy=OTHER.to_dict()), r'data_preprocessor\.policy\..* was '),
    'no policy': (dict(policy=None), r"data_preprocessor\.policy is 'none, equal frames' and was \{.*'num_frames': 4"),
    'a search': (dict(cell=dict(type='mmdas.DASCell')), r"data_preprocessor\.policy is 'a search cell' and was \{"),
    'fewer frames': (
        dict(num_frames=3, policy=Policy.random(3).to_dict()),
        r'data_preprocessor\.num_frames is 3 and was 4',
    ),
    'one frame': (dict(num_frames=1), r'data_preprocessor\.num_frames is 1 and was 4'),
    'another fusion': (dict(fusion=TSM), r"backbone\.fusion\.type is 'TemporalShift' and was 'GateShiftFuse'"),
    'no fusion': (dict(fusion=None), r"backbone\.fusion is None and was \{'type': 'GateShiftFuse'"),
    'an option of the fusion': (
        dict(fusion=dict(GSF, init='official')),
        r"backbone\.fusion\.init is 'official' and was 'identity'",
    ),
    'fewer stages': (dict(stages=[0]), r"backbone\.fused_convolutions is \[\] and was \['layer2_0_conv2'"),
    'another pooling': (dict(pooling='max'), r"head\.pooling is 'max' and was 'mean'"),
}


@pytest.mark.parametrize('name', DIFFERENT)
def test_a_difference_is_refused_with_both_values_and_accepted_on_purpose(name, checkpoint, trained, warned):
    options, message = DIFFERENT[name]
    if not options.keys() & {'cell', 'num_frames'}:
        options = {'policy': POLICY.to_dict(), **options}
    with pytest.raises(ValueError, match=f'{message}.*--accept-difference'):
        load_checkpoint(build(**options), checkpoint)
    accepting = build(accept=True, **options)
    load_checkpoint(accepting, checkpoint)
    assert torch.equal(accepting.head.fc.weight, trained.head.fc.weight)
    assert any('difference accepted' in message for message in warned)


def test_equal_settings_load_silently_by_every_way_of_mmengine(checkpoint, trained, warned):
    loaded = build(policy=POLICY.to_dict())
    load_checkpoint(loaded, checkpoint, strict=True)
    loaded.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    assert warned == []
    assert torch.equal(loaded.head.fc.weight, trained.head.fc.weight)


def test_default_options_that_a_config_spells_out_are_no_difference(checkpoint, warned):
    load_checkpoint(build(fusion=dict(GSF, init='identity', ratio=0.25), policy=POLICY.to_dict()), checkpoint)
    assert warned == []


def test_the_same_policy_of_another_file_and_origin_is_no_difference(checkpoint, warned, tmp_path):
    content = {**POLICY.to_dict(), 'origin': {'method': 'by hand'}, 'operations': [], 'seed': 9}
    Policy.from_dict(content).save(tmp_path / 'moved.json')
    load_checkpoint(build(policy=str(tmp_path / 'moved.json')), checkpoint)
    assert warned == []


def test_one_frame_writes_no_record():
    assert not [name for name in build(num_frames=1).state_dict() if KEY in name]


@pytest.mark.parametrize('fusion', [GSF, TSM, None], ids=['gsf', 'tsm', 'none'])
def test_every_model_with_frames_writes_three_records(fusion):
    records = [name for name in build(fusion=fusion).state_dict() if KEY in name]
    assert records == [f'{place}.{KEY}' for place in ('data_preprocessor', 'backbone.fusion', 'head.temporal_pooling')]


def test_a_checkpoint_of_the_plain_model_loads_without_a_word_on_records(warned, tmp_path):
    load_checkpoint(build(fusion=TSM, policy=POLICY.to_dict()), saved(build(plain=True), tmp_path))
    assert warned == []


def test_an_older_checkpoint_loads_strictly_and_warns_once(trained, warned):
    build(policy=OTHER.to_dict()).load_state_dict(without_records(trained), strict=True)
    assert len(warned) == 1
    assert 'no record of its policy, fusion and pooling' in warned[0]


@pytest.mark.parametrize('fusion', [TSM, None], ids=['tsm', 'none'])
def test_what_an_older_release_fused_without_parameters_loads_strictly(fusion, warned):
    build(fusion=fusion).load_state_dict(without_records(build(fusion=fusion)), strict=True)
    assert warned == []


def test_an_absent_policy_is_that_of_the_checkpoint(checkpoint, trained, warned):
    model = build(policy='gone/policy.json')
    load_checkpoint(model, checkpoint)
    images = torch.rand(2, 3, 16, 16)
    clips = [each.data_preprocessor.eval().to_clip(images) for each in (model, trained)]
    assert torch.equal(*clips)
    assert list(differences(model.data_preprocessor.settings(), trained.data_preprocessor.settings())) == []
    assert warned == []


def test_an_averaged_model_takes_up_the_policy_that_an_absent_file_left_open(checkpoint, tmp_path):
    model = build(policy=str(tmp_path / 'absent.json'))
    averaged = ExponentialMovingAverage(model, update_buffers=True)
    for one in (model, averaged.module):
        load_checkpoint(one, checkpoint, strict=True)
    averaged.update_parameters(model)
    assert averaged.module.data_preprocessor.policy.policy.content() == POLICY.content()


def test_an_absent_policy_is_not_that_of_a_search(tmp_path):
    file = saved(build(cell=dict(type='mmdas.DASCell')), tmp_path)
    with pytest.raises(ValueError, match=r"policy is 'the absent file gone\.json' and was 'a search cell'"):
        load_checkpoint(build(policy='gone.json'), file)


def test_a_search_records_what_its_policy_will_have(tmp_path):
    file = saved(build(cell=dict(type='mmdas.DASCell')), tmp_path)
    load_checkpoint(build(cell=dict(type='mmdas.DASCell')), file)
    with pytest.raises(ValueError, match=r"data_preprocessor\.cell\.ramp is 'mirrored' and was 'signed'"):
        load_checkpoint(build(cell=dict(type='mmdas.DASCell', ramp='mirrored')), file)


@pytest.mark.parametrize('wrap', ['averaged', 'parallel', 'tta', 'copy'])
def test_copies_and_wrappers_save_and_compare_the_records(wrap, trained, tmp_path):
    def wrapped(model):
        if wrap == 'averaged':
            return ExponentialMovingAverage(model)
        if wrap == 'parallel':
            return nn.DataParallel(model)
        return AverageClsScoreTTA(module=model) if wrap == 'tta' else copy.deepcopy(model)

    state = get_state_dict(wrapped(trained))
    assert sum(KEY in name for name in state) == 3
    prefix = {'averaged': '', 'parallel': '', 'tta': 'module.', 'copy': ''}[wrap]
    state = {name.removeprefix(prefix): value for name, value in state.items()}  # as MMEngine strips it
    load_state_dict(wrapped(build(policy=POLICY.to_dict())), state)
    with pytest.raises(ValueError, match='policy is .none, equal frames. and was'):
        load_state_dict(wrapped(build()), state)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.int64])
def test_a_record_survives_what_tools_do_to_all_tensors(dtype):
    settings = {'strength': 0.1 + 0.2, 'name': 'é', 'none': None, 'list': [1, 2.5]}
    assert decode(encode(settings).to(dtype)) == settings


def test_an_unreadable_record_names_its_place():
    with pytest.raises(ValueError, match='head: the record in the checkpoint is not readable'):
        decode(torch.tensor([1, 2], dtype=torch.uint8), 'head')


def test_settings_that_one_side_does_not_know_are_not_compared():
    own, other = {'frames': 4, 'new': 1, 'deep': {'a': 1}}, {'frames': 4, 'old': 2, 'deep': {'a': 1.0, 'b': 3}}
    assert list(differences(own, other)) == []
    assert list(differences(own, {'deep': {'a': 2}})) == [('.deep.a', 1, 2)]
