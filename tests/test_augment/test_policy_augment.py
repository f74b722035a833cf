"""Policies as a step on batches and as a transform of a pipeline."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.augment import PolicyAugment, PolicyTransform
from mmdas.augment.named_policies import fixed_policy
from mmdas.engine.hooks import KeepPolicyHook
from mmdas.registry import AUGMENTS, MODELS
from mmdas.search import PolicyError
from mmdas.search.augmentation import (
    AUGMENT_OPERATIONS,
    Augmentation,
    AugmentPolicy,
    Choice,
    Stage,
    SubPolicy,
    TrajectoryPoint,
)
from mmdas.search.das import Pixels
from mmdas.search.ddas import ddas_space

MEAN, STD = [123.0, 116.0, 103.0], [58.0, 57.0, 56.0]
COLOURS = torch.tensor([[250, 10, 20], [10, 240, 30], [20, 30, 230], [200, 200, 40]], dtype=torch.uint8)


def policy_of(*choices: Choice, repeat: int = 1, **options) -> AugmentPolicy:
    return AugmentPolicy((SubPolicy((Stage(choices, repeat),)),), **options)


def coloured(size: tuple[int, int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose blocks of colour say their label, and the labels."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 4, (1, -(-size[0] // 4), -(-size[1] // 4)), generator=generator)
    labels = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, : size[0], : size[1]]
    return COLOURS[labels[0]].permute(2, 0, 1), labels


def batch(sizes: list[tuple[int, int]]) -> dict:
    pairs = [coloured(size, seed) for seed, size in enumerate(sizes)]
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=dict(img_shape=labels.shape[-2:]))
        for _, labels in pairs
    ]
    return {'inputs': [image for image, _ in pairs], 'data_samples': samples}


def preprocessor(kind: str, policy: AugmentPolicy, **options):
    augment = dict(type='mmdas.PolicyAugment', policy=policy.to_dict())
    model = MODELS.build(
        dict(type=kind, num_frames=1, mean=MEAN, std=STD, channel_order='rgb', augments=[augment], **options)
    )
    return model.train()


GEOMETRIC = policy_of(
    Choice('rotate', 30.0, signed=True),
    Choice('translate_x', 0.25, signed=True),
    Choice('shear_y', 0.3),
    Choice('vertical_flip'),
    repeat=2,
)


def test_labels_follow_their_pixels_and_padding_stays():
    torch.manual_seed(0)
    sizes = [(24, 32), (16, 20), (24, 12)]
    model = preprocessor('mmdas.DASSegDataPreProcessor', GEOMETRIC, size=(24, 32), seg_pad_val=255)
    data = batch(sizes)
    plain = [image.clone() for image in data['inputs']]
    made = model(data, True)
    moved = 0
    for place, (height, width) in enumerate(sizes):
        image, labels = made['inputs'][place], made['data_samples'][place].gt_sem_seg.data[0]
        padding = torch.ones(24, 32, dtype=torch.bool)
        padding[:height, :width] = False
        assert (image[:, padding] == 0).all()
        assert (labels[padding] == 255).all()
        pixels = image * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        distance = (pixels[None] - COLOURS.float()[:, :, None, None]).abs().amax(1)
        clear = (distance.amin(0) < 2) & ~padding & (labels != 255)  # neither at an edge, where colours mix, nor filled
        assert clear.float().mean() > 0.1
        agree = (distance.argmin(0) == labels)[clear].float().mean()
        assert agree > 0.98, agree
        moved += not torch.equal(pixels[:, :height, :width].round().to(torch.uint8), plain[place])
    assert moved


def test_an_image_augmented_in_a_padded_batch_is_that_of_the_image_alone():
    policy = policy_of(Choice('rotate', 20.0))
    together = preprocessor('mmdas.DASSegDataPreProcessor', policy, size=(24, 32), seg_pad_val=255)(
        batch([(24, 32), (16, 20)]), True
    )
    alone = batch([(24, 32), (16, 20)])
    alone = {key: value[1:] for key, value in alone.items()}
    single = preprocessor('mmdas.DASSegDataPreProcessor', policy, size=(16, 20), seg_pad_val=255)(alone, True)
    torch.testing.assert_close(together['inputs'][1, :, :16, :20], single['inputs'][0])
    assert torch.equal(
        together['data_samples'][1].gt_sem_seg.data[:, :16, :20], single['data_samples'][0].gt_sem_seg.data
    )


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_a_batch_gets_what_the_plain_function_gives_its_colours(order):
    policy = policy_of(*ddas_space(), repeat=2)
    model = preprocessor('mmdas.DASClsDataPreprocessor', policy)
    model.channel_order = order
    model.augment_pixels = model._tell_augments()
    images = torch.randint(0, 256, (32, 3, 12, 12), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(0) for _ in images]
    torch.manual_seed(5)
    made = model({'inputs': images, 'data_samples': samples}, True)['inputs']
    torch.manual_seed(5)
    colours = (images.float() / 255) if order == 'rgb' else (images.float() / 255).flip(1)
    expected, _ = Augmentation(policy)(colours)
    expected = expected if order == 'rgb' else expected.flip(1)
    expected = (255 * expected - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    different = (made - expected).abs() > 2e-4  # at a threshold or step the rounding of the normalisation decides
    assert different.float().mean() < 2e-3


def test_a_test_is_not_augmented():
    images = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8)
    model = preprocessor('mmdas.DASClsDataPreprocessor', policy_of(Choice('invert'))).eval()
    plain = (images.float() - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(model({'inputs': images}, False)['inputs'], plain)


def test_a_trajectory_is_followed_along_the_training():
    points = tuple(TrajectoryPoint(1.0, weights) for weights in ((1.0, 0.0), (0.0, 1.0)))
    augment = PolicyAugment(policy_of(Choice('invert'), Choice('identity'), trajectory=points))
    augment.use_pixels(Pixels())
    images, hub = torch.rand(3, 3, 8, 8), MessageHub.get_instance('trajectory')
    found = []
    for done in (0, 49, 50, 99):
        hub.update_info('iter', done)
        hub.update_info('max_iters', 100)
        found.append(torch.equal(augment(images, None)[0], images))
    assert found == [False, False, True, True]


def test_an_absent_file_is_no_matter_in_a_test_and_stops_a_training(tmp_path):
    path = tmp_path / 'gone.json'
    policy_of(Choice('invert')).save(path)
    augment = dict(type='mmdas.PolicyAugment', policy=str(path))
    path.unlink()
    options = dict(num_frames=1, mean=MEAN, std=STD, augments=[augment])
    model = MODELS.build(dict(type='mmdas.DASClsDataPreprocessor', **options)).eval()
    model({'inputs': torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, False)
    with pytest.raises(FileNotFoundError, match=r'no policy at .*gone.json, .* augmentation.json'):
        model.augments.use_model(model)


@pytest.mark.parametrize('name', ['randaugment', 'uniform', 'autoaugment', 'autoaugment-svhn', 'cutout'])
def test_a_fixed_policy_goes_by_its_name_unless_a_file_has_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert PolicyAugment(name).augmentation.policy == fixed_policy(name)
    policy_of(Choice('invert')).save(tmp_path / name)
    assert PolicyAugment(name).operations == [AUGMENT_OPERATIONS['invert']]


def test_a_name_without_a_policy_says_what_there_is():
    with pytest.raises(FileNotFoundError, match='no policy at randaugmen, .* and there are uniform, randaugment'):
        PolicyAugment('randaugmen').use_model(nn.Identity())
    with pytest.raises(ValueError, match='shifts by pixels, .*import_policy.py trivialaugment FILE --size H W'):
        PolicyAugment('trivialaugment')


def test_pixels_have_to_be_told():
    with pytest.raises(ValueError, match='does not know what the pixels mean'):
        PolicyAugment(GEOMETRIC)(torch.rand(1, 3, 8, 8), None)


def test_operations_on_grey_refuse_images_of_four_channels():
    with pytest.raises(ValueError, match='4 channels, but saturation need RGB'):
        MODELS.build(
            dict(
                type='mmdas.DASClsDataPreprocessor',
                mean=[0.0] * 4,
                std=[1.0] * 4,
                augments=[dict(type='mmdas.PolicyAugment', policy=policy_of(Choice('saturation', 0.5)).to_dict())],
            )
        )


def test_a_policy_of_a_clip_is_no_augmentation(tmp_path):
    from mmdas.search.das import Policy

    Policy.random(3).save(tmp_path / 'policy.json')
    with pytest.raises(PolicyError, match="kind is 'das', AugmentPolicy reads 'augmentation'|has the unknown fields"):
        PolicyAugment(tmp_path / 'policy.json')


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_a_pipeline_gets_what_the_plain_function_gives(order):
    policy = policy_of(*ddas_space(), repeat=2)
    transform = AUGMENTS.build(dict(type='mmdas.PolicyTransform', policy=policy.to_dict(), channel_order=order))
    image, labels = coloured((20, 28), 3)
    pixels = image.permute(1, 2, 0).numpy()
    for seed in range(12):
        torch.manual_seed(seed)
        results = {
            'img': pixels if order == 'rgb' else np.ascontiguousarray(pixels[..., ::-1]),
            'gt_seg_map': labels[0].numpy().astype(np.uint8),
            'seg_fields': ['gt_seg_map'],
        }
        made = transform(results)
        torch.manual_seed(seed)
        expected, moved = Augmentation(policy)(image[None].float() / 255, labels[None].float())
        found = made['img'] if order == 'rgb' else made['img'][..., ::-1]
        assert made['img'].dtype == np.uint8
        assert made['gt_seg_map'].dtype == np.uint8
        assert np.abs(found.astype(int) - (255 * expected[0].permute(1, 2, 0)).numpy()).max() <= 0.51
        assert np.array_equal(made['gt_seg_map'], moved[0, 0].numpy())


def test_grey_images_keep_their_shape_in_a_pipeline():
    transform = PolicyTransform(policy_of(Choice('invert')))
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    assert np.array_equal(transform({'img': image})['img'], 255 - image)


def test_a_pipeline_refuses_what_it_cannot_do():
    points = (TrajectoryPoint(1.0, (1.0,)),)
    with pytest.raises(ValueError, match=r'cannot follow the trajectory .*mmdas.PolicyAugment'):
        PolicyTransform(policy_of(Choice('invert'), trajectory=points))
    with pytest.raises(ValueError, match="channel_order must be one of .* got 'grb'"):
        PolicyTransform(GEOMETRIC, channel_order='grb')
    with pytest.raises(ValueError, match='max_value must be positive'):
        PolicyTransform(GEOMETRIC, max_value=0)
    bright = {'img': np.full((8, 8), 300, np.uint16), 'img_path': 'bright.png'}
    with pytest.raises(PolicyError, match=r'bright.png has pixels of uint16 up to 300, .* 255 for white; set its'):
        PolicyTransform(GEOMETRIC).transform(bright)
    assert PolicyTransform(GEOMETRIC, max_value=65535).transform(bright)['img'].dtype == np.uint16


def test_an_error_of_a_worker_ends_in_its_message():
    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return PolicyTransform(GEOMETRIC).transform({'img': np.full((8, 8), 300, np.uint16), 'img_path': 'a.png'})

    with pytest.raises(PolicyError, match=r'^a.png has pixels of uint16'):
        next(iter(torch.utils.data.DataLoader(Images(), num_workers=1)))


@pytest.mark.parametrize('after', [None, Choice('invert')])
def test_a_resumed_training_warns_of_another_augmentation(after, tmp_path):
    told = {'info': [], 'warning': []}
    logger = SimpleNamespace(info=told['info'].append, warning=told['warning'].append)

    def note(choice: Choice | None, iterations: int) -> None:
        steps = [] if choice is None else [PolicyAugment(policy_of(choice))]
        model = nn.Module()
        model.data_preprocessor = SimpleNamespace(augments=SimpleNamespace(steps=steps))
        runner = SimpleNamespace(model=model, work_dir=str(tmp_path), iter=iterations, logger=logger)
        KeepPolicyHook().before_train(runner)

    note(Choice('equalize'), 0)
    note(Choice('equalize'), 5)
    assert not told['warning']
    note(after, 5)
    assert len(told['warning']) == 1
    assert 'augmentation.json' in told['warning'][0]
