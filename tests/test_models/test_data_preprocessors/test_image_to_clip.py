"""The step from image to clip, the same in the data preprocessors of both toolboxes."""

import json

import pytest
import torch
from records import without_records

from mmdas.ops.clip import clip_to_frames, split_frames
from mmdas.registry import MODELS
from mmdas.search.das import Policy

B, T, C, H, W = 2, 4, 3, 12, 16
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 55.0, 50.0]
TYPES = ('mmdas.DASSegDataPreProcessor', 'mmdas.DASClsDataPreprocessor')
PARENTS = dict(zip(TYPES, ('mmseg.SegDataPreProcessor', 'mmpretrain.ClsDataPreprocessor'), strict=True))
CELL = dict(type='mmdas.DASCell', space='large', share_strength=True)

pytestmark = pytest.mark.parametrize('kind', TYPES)


def build(kind, **options):
    return MODELS.build(dict(type=kind, mean=MEAN, std=STD, channel_order='rgb', **options))


def make_images(size=(H, W)):
    return [torch.randint(256, (C, *size), dtype=torch.uint8) for _ in range(B)]


def frames_of(clip):
    """(B, T*C, H, W) -> (B, T, C, H, W)."""
    return split_frames(clip_to_frames(clip, T), T)


def make_policy(num_frames=T, seed=0, space='large'):
    return Policy.random(num_frames, space, seed=seed)


def sources(tmp_path):
    """Every way to name where the clip comes from."""
    file = tmp_path / 'policy.json'
    make_policy().save(file)
    return {
        'repeat': {},
        'cell': dict(cell=CELL),
        'policy file': dict(policy=str(file)),
        'policy path': dict(policy=file),
        'inline policy': dict(policy=make_policy().to_dict()),
    }


@pytest.mark.parametrize('source', ['repeat', 'cell', 'policy file', 'policy path', 'inline policy'])
def test_reference_frame_is_what_the_parent_returns(kind, source, tmp_path):
    images = make_images()
    expected = MODELS.build(dict(type=PARENTS[kind], mean=MEAN, std=STD))(dict(inputs=images))['inputs']
    preprocessor = build(kind, num_frames=T, **sources(tmp_path)[source]).eval()
    clip = preprocessor(dict(inputs=images))['inputs']
    assert clip.shape == (B, T * C, H, W)
    reference = frames_of(clip)[:, T // 2]
    if source == 'cell':  # the weights of a mixture add up to one but for rounding
        torch.testing.assert_close(reference, expected)
    else:
        assert torch.equal(reference, expected)


def test_repeated_frames_are_all_equal(kind):
    frames = frames_of(build(kind, num_frames=T)(dict(inputs=make_images()))['inputs'])
    assert all(torch.equal(frames[:, t], frames[:, 0]) for t in range(T))


def test_file_and_inline_policy_give_the_same_clip_and_differ_from_another_policy(kind, tmp_path):
    images, ways = make_images(), sources(tmp_path)
    ways['other'] = dict(policy=make_policy(seed=1).to_dict())
    clips = {way: build(kind, num_frames=T, **ways[way]).eval()(dict(inputs=images))['inputs'] for way in ways}
    assert torch.equal(clips['policy file'], clips['inline policy'])
    assert not torch.equal(clips['policy file'], clips['other'])
    assert not torch.equal(clips['policy file'], clips['repeat'])


@pytest.mark.parametrize('source', ['repeat', 'cell', 'inline policy'])
@pytest.mark.parametrize('normalised', [False, True])
def test_one_frame_is_exactly_what_the_parent_returns(kind, source, normalised):
    options = dict(mean=MEAN, std=STD) if normalised else {}
    images = make_images()
    ways = {'repeat': {}, 'cell': dict(cell=CELL), 'inline policy': dict(policy=make_policy(1).to_dict())}
    ours = MODELS.build(dict(type=kind, channel_order='rgb', **options, num_frames=1, **ways[source]))
    theirs = MODELS.build(dict(type=PARENTS[kind], **options))
    assert torch.equal(ours(dict(inputs=images))['inputs'], theirs(dict(inputs=images))['inputs'])


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (16, 12)])
def test_any_size_of_image_makes_a_clip(kind, size):
    preprocessor = build(kind, num_frames=T, policy=make_policy(space='paper').to_dict())
    clip = preprocessor(dict(inputs=make_images(size)))['inputs']
    assert clip.shape == (B, T * C, *size)
    assert clip.isfinite().all()


def test_colour_operations_work_on_pixel_values_with_and_without_normalisation(kind):
    edges = [dict(source=0, target=2, operation='invert', strength=0.5)]
    policy = dict(schema_version=1, num_frames=3, num_nodes=1, edges=edges)
    images = make_images()
    pixels = torch.stack(images).float()
    normalised = build(kind, num_frames=3, policy=policy)(dict(inputs=images))['inputs']
    plain = MODELS.build(dict(type=kind, num_frames=3, policy=policy))(dict(inputs=images))['inputs']
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    expected = 0.5 * pixels + 0.5 * (255 - pixels)  # frame 2, one step from the reference
    torch.testing.assert_close(plain[:, 6:], expected)
    torch.testing.assert_close(normalised[:, 6:] * std + mean, expected)


@pytest.mark.parametrize('source', ['cell', 'inline policy'])
def test_images_do_not_leak_into_each_other_in_evaluation(kind, source, tmp_path):
    preprocessor = build(kind, num_frames=T, **sources(tmp_path)[source]).eval()
    first, second = make_images()
    (other, _) = make_images()
    alone = preprocessor(dict(inputs=[first, second]))['inputs']
    beside = preprocessor(dict(inputs=[other, second]))['inputs']
    assert torch.equal(alone[1], beside[1])
    assert not torch.equal(alone[0], beside[0])


def test_cell_is_in_the_state_and_learns_while_a_policy_is_not_in_it(kind, tmp_path):
    searching = build(kind, num_frames=T, cell=CELL)
    assert set(without_records(searching)) == {f'cell.{name}' for name in searching.cell.state_dict()}
    assert [name for name, _ in searching.named_parameters()] == ['cell.logits']
    searching(dict(inputs=make_images()))['inputs'].square().mean().backward()
    assert searching.cell.logits.grad.any(dim=1).all()  # every edge
    for source in ('repeat', 'policy file'):
        assert not without_records(build(kind, num_frames=T, **sources(tmp_path)[source]))


def test_samples_of_the_parent_pass(kind):
    samples = [object(), object()]
    assert build(kind, num_frames=T)(dict(inputs=make_images(), data_samples=samples))['data_samples'] == samples


class TestErrors:
    def test_cell_and_policy(self, kind):
        with pytest.raises(ValueError, match=r'takes cell \(while searching\) or policy \(afterwards\), not both'):
            build(kind, num_frames=T, cell=CELL, policy=make_policy().to_dict())

    @pytest.mark.parametrize('num_frames', [0, -2])
    def test_no_frames(self, kind, num_frames):
        with pytest.raises(ValueError, match=f'data_preprocessor.num_frames must be at least 1, got {num_frames}'):
            build(kind, num_frames=num_frames)

    def test_policy_of_other_frames_names_both_and_the_file(self, kind, tmp_path):
        file = tmp_path / 'eight.json'
        make_policy(8).save(file)
        with pytest.raises(ValueError, match=r'eight\.json is 8, data_preprocessor\.num_frames is 4'):
            build(kind, num_frames=T, policy=str(file))
        with pytest.raises(ValueError, match=r'data_preprocessor\.policy is 8, data_preprocessor\.num_frames is 4'):
            build(kind, num_frames=T, policy=make_policy(8).to_dict())

    def test_cell_of_other_frames(self, kind):
        with pytest.raises(ValueError, match=r'cell\.num_frames is 8, data_preprocessor\.num_frames is 4'):
            build(kind, num_frames=T, cell=dict(CELL, num_frames=8))

    def test_policy_without_frames_set_in_the_config(self, kind):
        with pytest.raises(ValueError, match=r'policy is 4, data_preprocessor\.num_frames is 1'):
            build(kind, policy=make_policy().to_dict())

    def test_missing_file_without_a_checkpoint_that_brings_a_policy(self, kind, tmp_path):
        preprocessor = build(kind, num_frames=T, policy=str(tmp_path / 'none.json'))
        preprocessor.load_state_dict({})  # of a plain model
        with pytest.raises(FileNotFoundError, match=r'no policy at .*none\.json.*--policy FILE'):
            preprocessor(dict(inputs=make_images()))

    def test_file_with_a_bad_field_is_named(self, kind, tmp_path):
        data = make_policy().to_dict()
        data['edges'][0]['operation'] = 'teleport'
        file = tmp_path / 'bad.json'
        file.write_text(json.dumps(data))
        with pytest.raises(ValueError, match=r"bad\.json: edges\[0\]\.operation is 'teleport'"):
            build(kind, num_frames=T, policy=str(file))
