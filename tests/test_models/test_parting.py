"""Frames that part behind a stage of the backbone."""

import copy
import pickle

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch import nn

from mmdas.models import FrameFusionBackbone
from mmdas.models.backbones.parting import PartingError, find_place
from mmdas.models.features import ADL, choose_sites
from mmdas.models.features.place import place
from mmdas.models.settings import DifferenceError, decode, encode
from mmdas.ops.clip import clip_to_frames, reference_frame, split_frames
from mmdas.registry import MODELS
from mmdas.search.das import DASCell, Policy, PolicyClip, PolicyEdge

B, T, K, SIDE = 2, 4, 5, 16
BACKBONE = dict(type='ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8, zero_init_residual=False)
HEAD = dict(type='LinearClsHead', num_classes=K, in_channels=64, topk=(1,))
PREPROCESSOR = dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True, num_classes=K)
POLICY = dict(policy=Policy.random(T, 'paper').to_dict())
CELL = dict(cell=dict(type='mmdas.DASCell'))

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


class PooledPixels(BaseModule):
    """Exactly equivariant: a 1 x 1 convolution, means of 4 x 4 pixels, a 1 x 1 convolution, means of 2 x 2 cells."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 1)
        self.stem = nn.AvgPool2d(4)
        self.body = nn.Conv2d(3, 6, 1)
        self.end = nn.AvgPool2d(2)

    def forward(self, x):
        early = self.stem(self.colours(x))
        late = self.body(early).relu()
        return early, late, self.end(late)


def backbone_of(part_after, backbone=BACKBONE, fusion='mmdas.TemporalShift', num_frames=T, **options):
    fusion = None if fusion is None else dict(type=fusion)
    kind = dict(type='mmdas.FrameFusionBackbone', backbone=backbone, num_frames=num_frames, fusion=fusion)
    return kind | dict(part_after=part_after) | options


def build(part_after='layer2', source=None, num_frames=T, model='mmdas.DASImageClassifier', **options):
    torch.manual_seed(0)
    config = dict(
        type=model,
        backbone=backbone_of(part_after, num_frames=num_frames, **options),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='mmdas.TemporalPoolingClsHead', head=HEAD, any_frames=options.get('any_frames', False)),
        data_preprocessor=dict(
            type='mmdas.DASClsDataPreprocessor', num_frames=num_frames, **PREPROCESSOR, **(source or {})
        ),
    )
    return MODELS.build(copy.deepcopy(config))


def make_batch(images=B, size=(SIDE, SIDE)):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(256, (images, 3, *size), generator=generator, dtype=torch.uint8)
    return dict(inputs=inputs, data_samples=[DataSample().set_gt_label(place % K) for place in range(images)])


def scores(model, batch):
    model.eval()
    with torch.no_grad():
        return torch.stack([result.pred_score for result in model.test_step(copy.deepcopy(batch))])


def train(model, steps=2):
    model.train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.05, momentum=0.9))
    torch.manual_seed(1)
    return [model.train_step(copy.deepcopy(make_batch()), wrapper)['loss'].item() for _ in range(steps)]


@pytest.fixture
def plain(mmpretrain_scope):
    torch.manual_seed(0)
    neck = dict(type='GlobalAveragePooling')
    parts = dict(backbone=BACKBONE, neck=neck, head=HEAD, data_preprocessor=PREPROCESSOR)
    return MODELS.build(copy.deepcopy(dict(type='ImageClassifier', **parts)))


def moves(operation, strength, node_reduction='mean', **options):
    """Policy of one operation."""
    return Policy(T, 1, (PolicyEdge(0, 2, operation, strength),), node_reduction=node_reduction, **options)


# Shifts by 4 pixels a step, the stride of the stem, and quarter turns of a square.
EXACT = {
    'right': moves('translate_x', 0.25, reference_size=(16, 16)),
    'up': moves('translate_y', -0.125, reference_size=(32, 48)),
    'turn': moves('rotate', 90.0),
}


@pytest.mark.parametrize('name', EXACT)
@pytest.mark.parametrize('size', [(16, 16), (32, 32)])
def test_warped_features_are_features_of_the_warped_image(name, size):
    policy, images = EXACT[name], torch.rand(B, 3, *size, dtype=torch.float64)
    options = dict(num_frames=T, accept_difference=True)
    whole, parted = (FrameFusionBackbone(PooledPixels(), part_after=at, **options).double() for at in (None, 'stem'))
    nn.init.zeros_(whole.colours.bias)  # what a warp uncovers is zero before and behind the first convolution
    parted.load_state_dict(whole.state_dict())
    clip = PolicyClip(policy)
    stride = 4
    with parted.parting.lent(lambda maps: clip(maps, size=(maps.shape[-2] * stride, maps.shape[-1] * stride))):
        found = parted(images)
    for ours, theirs in zip(found, whole(clip(images)), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(('name', 'side'), [('right', 32), ('turn', 32), ('right', 45), ('turn', 45)])
def test_aligned_frames_that_part_late_are_fused_as_equal_frames(name, side):
    """45 pixels are 11 cells, of 4 pixels each: 44 pixels."""
    images = torch.rand(B, 3, side, side, dtype=torch.float64)
    found, expected = (
        with_aligned_fusion(policy).extract_feat(images, stage='backbone')[1].unflatten(0, (B, T))
        for policy in (EXACT[name].to_dict(), None)
    )
    cells, clip = side // 4, PolicyClip(EXACT[name])
    for t in range(T):  # the image's features, fused as in frame t, and then warped as frame t
        warped = clip(expected[:, t], size=(4 * cells, 4 * cells)).unflatten(1, (T, -1))[:, t]
        inner = (..., slice(3, -3)) if name == 'right' else ...  # what no neighbour shows is zero
        torch.testing.assert_close(found[:, t][inner], warped[inner])
    assert (found[:, 0] - found[:, T // 2]).abs().max() > 0.01


@torch.no_grad()
def with_aligned_fusion(policy):
    """Classifier of pooled pixels that fuses behind its stem."""
    torch.manual_seed(0)
    fusion = dict(type='mmdas.TemporalShift', aligned=True, fraction=0.34)
    backbone = FrameFusionBackbone(PooledPixels(), T, fusion=fusion, stages=['body'], part_after='stem')
    nn.init.zeros_(backbone.body.bias)  # what a warp uncovers stays zero
    preprocessor = dict(type='mmdas.DASClsDataPreprocessor', num_frames=T, policy=policy)
    config = dict(type='mmdas.DASImageClassifier', backbone=backbone, data_preprocessor=preprocessor)
    return MODELS.build(config).double().eval().requires_grad_(False)


def test_cell_moves_features_as_the_images_in_both_forms():
    images, pool = torch.rand(B, 3, 32, 32, dtype=torch.float64), nn.AvgPool2d(4)
    space, ranges = ('identity', 'translate_x', 'translate_y'), dict(translate_x=(0.25, 0.25), translate_y=(0.5, 0.5))
    cell = DASCell(T, space, share_strength=True, ranges=ranges, reference_size=(16, 16)).double()
    expected = pool(cell(images))
    torch.testing.assert_close(cell(pool(images), size=(32, 32)), expected)
    torch.testing.assert_close(cell._loop(pool(images), (32, 32)), expected)


def test_stride_is_that_of_the_network_where_sides_are_no_multiples_of_it():
    preprocessor = MODELS.build(
        dict(type='mmdas.DASClsDataPreprocessor', num_frames=2, policy=moves_two('translate_x', 0.25, (16, 16)))
    ).eval()
    maps = torch.rand(1, 2, 12, 12)
    preprocessor.choose_frames()
    clip = preprocessor.maps_to_clip(maps, (45, 45))  # 12 cells of 4 pixels
    moved = split_frames(clip_to_frames(clip, 2), 2)[:, 0]
    torch.testing.assert_close(moved[..., :-1], maps[..., 1:])
    assert not moved[..., -1].any()


def moves_two(operation, strength, reference_size):
    return Policy(2, 1, (PolicyEdge(0, 2, operation, strength),), reference_size=reference_size).to_dict()


@pytest.mark.parametrize('source', [POLICY, CELL], ids=['policy', 'cell'])
def test_reference_frame_is_the_feature_map_bit_for_bit(source):
    model = build('layer1', source, fusion=None).eval()
    seen = []
    model.backbone.layer1[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.backbone.layer2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    scores(model, make_batch())
    maps, frames = seen
    assert maps.shape[0] == B and frames.shape[0] == B * T
    assert torch.equal(split_frames(frames, T)[:, reference_frame(T)], maps)


@pytest.mark.parametrize('part_after', ['conv1', 'layer1', 'layer3', 1, 2])
def test_equal_frames_without_fusion_predict_what_the_plain_model_does(plain, part_after):
    model = build(part_after, fusion=None)
    model.load_state_dict(plain.state_dict())  # a plain checkpoint has all keys
    torch.testing.assert_close(scores(model, make_batch()), scores(plain, make_batch()))


def test_identity_policy_equals_equal_frames_and_the_clip_of_images():
    sources = {'identity': dict(policy=moves('identity', 0.0).to_dict()), 'repeat': None}
    found = {name: scores(build('layer2', source), make_batch()) for name, source in sources.items()}
    whole = build(None, stages=(2, 3), model='ImageClassifier')  # fuses at the same convolutions
    assert torch.equal(found['identity'], found['repeat'])
    torch.testing.assert_close(found['repeat'], scores(whole, make_batch()))


def test_classifier_with_clips_of_images_equals_the_one_whose_preprocessor_makes_them():
    ours, theirs = (build(None, POLICY, model=kind) for kind in ('mmdas.DASImageClassifier', 'ImageClassifier'))
    ragged = [image[:, : 10 + 6 * place] for place, image in enumerate(make_batch()['inputs'])]
    for batch in (make_batch(), dict(inputs=ragged, data_samples=make_batch()['data_samples'])):
        torch.testing.assert_close(scores(ours, batch), scores(theirs, batch))


def test_content_of_a_padded_image_has_the_clip_of_the_image_alone():
    policy = dict(policy=moves('rotate', 20.0).to_dict())
    preprocessor = MODELS.build(dict(type='mmdas.DASClsDataPreprocessor', num_frames=T, **policy)).eval()
    maps = torch.rand(2, 3, 8, 8)
    preprocessor.choose_frames()
    clip = preprocessor.maps_to_clip(maps, (32, 32), sizes=[(16, 22), (32, 32)])
    alone = preprocessor.maps_to_clip(maps[:1, :, :4, :6], (16, 24))
    torch.testing.assert_close(clip[:1, :, :4, :6], alone)
    assert torch.equal(clip[:1, :, 4:], maps[:1, :, 4:].repeat(1, T, 1, 1))  # padding stays
    torch.testing.assert_close(clip[1:], preprocessor.maps_to_clip(maps[1:], (32, 32)))


def test_one_frame_is_the_plain_model(plain):
    model = build('layer2', num_frames=1)
    assert model.state_dict().keys() == plain.state_dict().keys()
    model.load_state_dict(plain.state_dict())
    assert torch.equal(scores(model, make_batch()), scores(plain, make_batch()))


def test_step_of_a_search_has_a_gradient_in_the_logits():
    model = build('layer2', CELL)
    data = model.data_preprocessor(make_batch(), training=True)
    model.train()
    model.loss(**data)['loss'].backward()
    assert model.data_preprocessor.cell.logits.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_loss_falls_and_copies_train_alike():
    model = build('layer2', POLICY)
    copies = [model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    losses = [train(each, steps=3) for each in copies]
    assert losses[0][-1] < losses[0][0]
    assert losses[0] == losses[1] == losses[2]


def test_weights_know_where_their_frames_parted():
    parted, whole = build('layer2', POLICY), build(None, POLICY, stages=(2, 3), model='ImageClassifier')
    with pytest.raises(DifferenceError, match=r"backbone.part_after is None and was 'layer2'"):
        whole.load_state_dict(parted.state_dict())
    build(2, POLICY).load_state_dict(parted.state_dict())  # the same place


def test_record_of_a_release_without_the_options_is_one_of_clips_of_images_that_are_not_aligned():
    old = build(None, POLICY, stages=(2, 3), model='ImageClassifier').state_dict()
    record = decode(old['backbone.fusion._extra_state'])
    del record['part_after'], record['fusion']['aligned'], record['fusion']['border']
    old['backbone.fusion._extra_state'] = encode(record)
    build(None, POLICY, stages=(2, 3), model='ImageClassifier').load_state_dict(old)
    with pytest.raises(DifferenceError, match=r"backbone.part_after is 'layer2' and was None"):
        build('layer2', POLICY).load_state_dict(old)
    aligned = build(None, stages=(2, 3))
    aligned.backbone.fusion.options['aligned'] = True
    state = {key: value for key, value in old.items() if key.startswith('backbone.')}
    with pytest.raises(DifferenceError, match=r'backbone.fusion.aligned is True and was False'):
        aligned.load_state_dict(state, strict=False)


def test_fewer_frames_are_drawn_once_for_all_outputs():
    backbone = dict(BACKBONE, out_indices=(0, 3))
    source = POLICY | dict(frame_dropout=(1, 2, 4))
    model = build('layer2', source, backbone=backbone, any_frames=True).train()
    numbers = set()
    for seed in range(12):
        torch.manual_seed(seed)
        early, late = model.extract_feat(torch.rand(B, 3, SIDE, SIDE), stage='backbone')
        assert len(early) == len(late) == B * model.data_preprocessor.frames_now
        numbers.add(model.data_preprocessor.frames_now)
    assert numbers == {1, 2, 4}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(part_after='layer9'), r"part_after='layer9': ResNet_CIFAR has no such part; it has conv1"),
        (dict(part_after=4), r'part_after=4: ResNet_CIFAR has the stages layer1, layer2, layer3, layer4; give 1 to 3'),
        (dict(part_after='layer3', stages=(0, 3)), r"part after 'layer3', so that nothing is fused at layer1.0.conv1"),
        (dict(part_after='layer4'), r"part after 'layer4', so that nothing is fused at"),
    ],
)
def test_places_that_do_not_go_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(backbone_of(**options))


@pytest.mark.parametrize('operation', ['brightness', 'rotate'])
def test_operations_on_colours_are_refused_with_the_remedy(operation):
    source = dict(policy=moves(operation, 0.1).to_dict())
    if operation == 'rotate':
        build('layer2', source)
        return
    with pytest.raises(ValueError, match=r"brightness of the space or policy.*space='paper'.*or leave part_after out"):
        build('layer2', source)


def test_model_that_lends_no_step_is_refused_with_the_one_that_does():
    with pytest.raises(ValueError, match=r"model.type='mmdas.DASImageClassifier'"):
        scores(build('layer2', POLICY, model='ImageClassifier'), make_batch())


def test_place_that_gives_no_map_is_refused():
    vit = dict(type='VisionTransformer', arch='deit-t', img_size=32, patch_size=8)
    with pytest.raises(PartingError, match=r"part_after='layers.0' should give one feature map"):
        build('layers.0', backbone=vit, fusion=None)


HRNET = dict(
    type='HRNet',
    extra={
        f'stage{n}': dict(
            num_modules=1,
            num_branches=n,
            block='BASIC' if n > 1 else 'BOTTLENECK',
            num_blocks=(1,) * n,
            num_channels=(8, 16, 32, 64)[:n],
        )
        for n in (1, 2, 3, 4)
    },
)


@pytest.mark.parametrize(
    ('backbone', 'place'), [(BACKBONE, 'layer2.0.conv1'), (BACKBONE, 'layer1.0.bn2'), (HRNET, 'stage2.0.branches.0')]
)
def test_place_with_a_path_around_it_is_refused_where_one_image_would_be_broadcast(backbone, place):
    for fusion in (None, 'mmdas.TemporalShift'):
        with pytest.raises(PartingError, match=rf"part_after='{place}' lies within a block or beside another path"):
            build(place, backbone=backbone, fusion=fusion)


@pytest.mark.parametrize(('num_frames', 'fusion'), [(T, 'mmdas.GateShiftFuse'), (None, 'mmdas.TemporalShift')])
def test_trial_of_a_place_leaves_the_backbone_as_it_is(monkeypatch, num_frames, fusion):
    def made():
        torch.manual_seed(0)
        return MODELS.build(copy.deepcopy(backbone_of('layer1.1', fusion=fusion, num_frames=num_frames)))

    tried = made()
    monkeypatch.setattr('mmdas.models.backbones.frame_fusion_backbone.try_parting', lambda backbone: None)
    untried = made()
    assert tried.num_frames == untried.num_frames == num_frames
    assert [module.training for module in tried.modules()] == [module.training for module in untried.modules()]
    for key, value in untried.state_dict().items():
        assert torch.equal(value, tried.state_dict()[key])
    assert tried.parting.frames is None and tried.parting.step is None


@pytest.mark.parametrize('place', [True, 2.0, ['layer1']])
def test_place_of_another_type_is_refused(place):
    with pytest.raises(PartingError, match='is a (bool|float|list); give the path of a part'):
        MODELS.build(backbone_of(place))


def test_number_of_stages_names_the_last_of_them():
    backbone = MODELS.build(copy.deepcopy(BACKBONE))
    assert [find_place(backbone, number) for number in (1, 2, 3)] == ['layer1', 'layer2', 'layer3']


def test_regularisers_of_features_are_told_the_frames_of_their_sites():
    model, told = build('layer2', fusion=None).train(), {}

    class Note(nn.Module):
        def forward(self, maps, num_frames):
            told[maps.shape[1]] = (num_frames, len(maps))
            return maps

    place(Note(), model.backbone, choose_sites(model.backbone, ADL(), [0, -1]))
    model.extract_feat(torch.rand(B, 3, SIDE, SIDE))
    assert told == {8: (1, B), 64: (T, B * T)}
