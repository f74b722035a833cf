"""Policies from MMPretrain do to a picture what its transforms do, and those for MMPretrain the same."""

import statistics
from typing import Any

import numpy as np
import pytest
import torch
from augment_images import random_images
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from mmpretrain.datasets.transforms.auto_augment import AUTOAUG_POLICIES, RANDAUG_POLICIES
from mmpretrain.registry import TRANSFORMS
from test_published_policies import ours, picture, share_apart, shifted
from torch import Tensor

from mmdas.search.augmentation import (
    AugmentPolicy,
    Choice,
    ExportError,
    Stage,
    SubPolicy,
    TrajectoryPoint,
    auto_augment,
    from_mmpretrain,
    rand_augment,
    to_mmpretrain,
)

PRESETS = {**AUTOAUG_POLICIES, **RANDAUG_POLICIES}
SIDE = 100
SURE = dict(prob=1.0, random_negative_prob=0.0)
STEPS = [
    dict(type='AutoContrast', prob=1.0),
    dict(type='Equalize', prob=1.0),
    dict(type='Invert', prob=1.0),
    dict(type='Rotate', angle=20.0, **SURE),
    dict(type='Rotate', angle=-35.0, **SURE),
    dict(type='Translate', magnitude=0.2, **SURE),
    dict(type='Translate', magnitude=-0.13, direction='vertical', **SURE),
    dict(type='Posterize', bits=5, prob=1.0),
    dict(type='Solarize', thr=128, prob=1.0),
    dict(type='Solarize', thr=256 / 9 * 4, prob=1.0),
    dict(type='Solarize', thr=256, prob=1.0),
    dict(type='Solarize', thr=0, prob=1.0),
    dict(type='SolarizeAdd', magnitude=66.0, prob=1.0),
    *(
        dict(type=kind, magnitude=m, **SURE)
        for kind in ('ColorTransform', 'Contrast', 'Brightness')
        for m in (-0.6, 0.4)
    ),
]


def theirs(config: dict, image: Tensor) -> Tensor:
    """Apply a transform to an image (3, H, W), RGB bytes."""
    results = {'img': np.ascontiguousarray(image.flip(0).permute(1, 2, 0).numpy())}
    changed = Compose([TRANSFORMS.build(config)])(results)['img']
    return torch.from_numpy(np.ascontiguousarray(changed)).permute(2, 0, 1).flip(0)


def one(step: dict, **options) -> AugmentPolicy:
    return from_mmpretrain(dict(type='AutoAugment', policies=[[step]]), **options)


def applied(policy: AugmentPolicy, image: Tensor) -> Tensor:
    """All operations of a policy without a choice, in levels of 0 to 255."""
    choices = [stage.choices[0] for stage in policy.sub_policies[0].stages]
    return ours(image, policy, *((choice.operation, choice.magnitude) for choice in choices))


@pytest.mark.parametrize('step', STEPS, ids=lambda step: '-'.join(str(value) for value in step.values())[:40])
def test_transform_does_the_same_here_and_there(step: dict) -> None:
    image = picture((SIDE, SIDE))
    changed, other = applied(one(step), image), theirs(step, image)
    if step['type'] == 'Rotate':  # its number fills blue alone, so the corners differ
        rows, columns = torch.meshgrid(torch.arange(SIDE) - 49.5, torch.arange(SIDE) - 49.5, indexing='ij')
        inside = rows**2 + columns**2 < 48**2
        changed, other = changed[:, inside], other[:, inside]
    levels = 2.5 if step['type'] == 'ColorTransform' else 1.5
    assert share_apart(changed, other, levels) < 0.015


@pytest.mark.parametrize('magnitude', [0.2, -0.1])
@pytest.mark.parametrize(('direction', 'axis'), [('horizontal', 'x'), ('vertical', 'y')])
def test_shear_is_moved_by_the_slope_times_half_a_side(magnitude: float, direction: str, axis: str) -> None:
    image = picture((SIDE, SIDE))
    step = dict(type='Shear', magnitude=magnitude, direction=direction, interpolation='nearest', **SURE)
    changed = applied(one(step), image)
    other = shifted(theirs(step, image), axis, round(-magnitude * SIDE / 2))
    assert share_apart(changed[:, 25:75, 25:75], other[:, 25:75, 25:75], 0.5) < 0.2  # OpenCV's 32nd of a pixel
    wrong = shifted(theirs(step, image), axis, round(magnitude * SIDE / 2))
    assert share_apart(changed[:, 25:75, 25:75], wrong[:, 25:75, 25:75], 0.5) > 0.8


def test_sharpness_is_the_same_within_the_border() -> None:
    image, step = picture((SIDE, SIDE)), dict(type='Sharpness', magnitude=0.7, **SURE)
    changed, other = applied(one(step), image), theirs(step, image)
    assert share_apart(changed[:, 1:-1, 1:-1], other[:, 1:-1, 1:-1], 1.5) < 1e-3


def test_sub_policies_of_the_preset_do_the_same() -> None:
    policy = from_mmpretrain(dict(type='AutoAugment', policies='imagenet'), presets=PRESETS)
    image, compared = picture((SIDE, SIDE)), 0
    for steps, sub in zip(AUTOAUG_POLICIES['imagenet'], policy.sub_policies, strict=True):
        assert [stage.choices[0].probability for stage in sub.stages] == [step['prob'] for step in steps]
        if {'Shear', 'Rotate', 'Sharpness'} & {step['type'] for step in steps}:
            continue  # other corners and borders
        sure = [
            {**step, 'prob': 1.0} | ({'random_negative_prob': 0.0} if 'magnitude' in step else {}) for step in steps
        ]
        changed = theirs(dict(type='AutoAugment', policies=[sure]), image)
        choices = [stage.choices[0] for stage in sub.stages]
        mine = ours(image, policy, *((choice.operation, choice.magnitude) for choice in choices))
        assert share_apart(mine, changed, 4) < 0.03, steps
        compared += 1
    assert compared >= 15


@pytest.mark.parametrize('pad', [128, [10, 90, 200]])
def test_what_is_uncovered_has_the_same_colour(pad: Any) -> None:
    image = picture((SIDE, SIDE))
    step = dict(type='Translate', magnitude=0.3, pad_val=pad, **SURE)
    assert share_apart(applied(one(step), image), theirs(step, image), 0.5) == 0


def test_nothing_said_is_half_the_probability_and_either_sign() -> None:
    assert list(one(dict(type='Rotate', angle=20.0)).choices()) == [Choice('rotate', 20.0, 0.5, signed=True)]


@pytest.mark.parametrize(('negative', 'expected'), [(0.0, {-20: 1}), (1.0, {20: 1}), (0.3, {-20: 0.7, 20: 0.3})])
def test_other_probabilities_of_the_sign_are_kept(negative: float, expected: dict) -> None:
    policy = one(dict(type='Rotate', angle=20.0, random_negative_prob=negative))
    assert {choice.magnitude: choice.weight for choice in policy.choices()} == pytest.approx(expected)


def random(level: float, std: Any = 0.0, *steps: dict, **options) -> AugmentPolicy:
    steps = steps or tuple(RANDAUG_POLICIES['timm_increasing'])
    config = dict(type='RandAugment', policies=list(steps), num_policies=2, magnitude_level=level, magnitude_std=std)
    return from_mmpretrain({**config, **options})


def test_rand_augment_draws_all_its_transforms_alike_often() -> None:
    for std in (0.0, 0.5, 'inf'):
        policy = random(7, std)
        (stage,) = policy.sub_policies[0].stages
        weights: dict[str, float] = {}
        for choice in stage.choices:
            weights[choice.operation] = weights.get(choice.operation, 0) + choice.weight
        assert stage.repeat == 2
        assert list(weights.values()) == pytest.approx([1.0] * 15)
        assert {choice.probability for choice in stage.choices} == {0.5}


@pytest.mark.parametrize('level', [0, 3, 7, 10])
@pytest.mark.parametrize('place', range(3, 15))
def test_a_level_of_rand_augment_is_the_magnitude_of_its_transform(level: int, place: int) -> None:
    step = RANDAUG_POLICIES['timm_increasing'][place]
    if step['type'] == 'Posterize' and level == 10:
        return  # no bits
    built = TRANSFORMS.build({**step, 'magnitude_level': level})
    keys = {'Rotate': 'angle', 'Solarize': 'thr', 'Posterize': 'bits'}
    key = keys.get(step['type'], 'magnitude')
    rest = {name: value for name, value in step.items() if name != 'magnitude_range'}
    fixed = list(one({**rest, key: built.random_magnitude()}).choices())
    assert list(random(level, 0.0, step).choices()) == fixed


def test_a_uniform_level_is_a_range_and_posterize_has_its_bits_as_often() -> None:
    (rotate,) = random(8, 'inf', dict(type='Rotate', magnitude_range=(0, 30))).choices()
    assert rotate.bounds == (0, 24) or rotate.bounds == (-24, 0)
    policy = random(8, 'inf', dict(type='Posterize', magnitude_range=(4, 0)))
    weights = {8 - choice.magnitude: choice.weight for choice in policy.choices()}
    built = TRANSFORMS.build(dict(type='Posterize', magnitude_range=(4, 0), magnitude_level=8, magnitude_std='inf'))
    np.random.seed(0)
    bits = np.ceil([built.random_magnitude() for _ in range(20_000)])
    assert weights == pytest.approx({value: (bits == value).mean() for value in (1, 2, 3, 4)}, abs=0.02)


def test_a_normal_level_keeps_its_mean_and_most_of_its_deviation_and_the_origin_says_so() -> None:
    policy = random(5, 1.5, dict(type='Brightness', magnitude_range=(0, 1)))
    magnitudes = [choice.magnitude for choice in policy.choices()]
    assert statistics.mean(magnitudes) == pytest.approx(0.5)
    assert 0.12 < statistics.pstdev(magnitudes) <= 0.15
    assert 'normal distribution of deviation 1.5' in policy.origin['notes'][0]


def test_hparams_reach_rand_augment_alone() -> None:
    hparams = dict(pad_val=[1, 2, 3], interpolation='nearest')
    step = dict(type='Shear', magnitude_range=(0, 0.3))
    policy = random(5, 0.0, step, hparams=hparams)
    assert policy.fill == (3 / 255, 2 / 255, 1 / 255) and policy.interpolation == 'nearest'
    fixed = dict(type='Shear', magnitude=0.1)
    policy = from_mmpretrain(dict(type='AutoAugment', policies=[[fixed]], hparams=hparams))
    assert policy.fill == 128 / 255 and policy.interpolation == 'bilinear'
    built = TRANSFORMS.build(dict(type='AutoAugment', policies=[[fixed]], hparams=hparams))
    assert built.transforms[0].transforms[0].pad_val == 128


@pytest.mark.parametrize(
    ('step', 'message'),
    [
        (dict(type='GaussianBlur', radius=2), 'type GaussianBlur, which has no counterpart'),
        (dict(type='RandomFlip', prob=0.5, direction='diagonal'), r"direction is 'diagonal', expected one of"),
        (dict(type='Rotate', angle=1.0, center=(0, 0)), 'rotates about another centre'),
        (dict(type='Rotate', angle=1.0, scale=2.0), 'rotates about another centre, or scales'),
        (dict(type='Rotate'), 'needs either angle or magnitude_range'),
        (dict(type='Rotate', angle='x'), r'policies\[0\]\[0\].angle is .x., expected a number'),
        (dict(type='Rotate', angle=1.0, prob='x'), r'\.prob is .x., expected a number'),
        (dict(type='Rotate', magnitude_range=3), r'magnitude_range is 3, expected two numbers'),
        (dict(type='Rotate', magnitude_range=(0, 3), total_level=0), 'total_level is 0, expected a positive number'),
        (dict(type='Posterize', bits=0), r'posterizes to 0 bits, expected 1 to 8'),
        (dict(type='SolarizeAdd', magnitude=3, thr=100), 'thr is 100; here what is below 128'),
        (dict(type='Cutout', shape=8), 'say the size of the images'),
        (dict(type='Cutout', shape=8, pad_val=0), 'the holes of cutout are grey here'),
        (dict(type='Translate', magnitude=0.1, pad_val=300), 'expected levels of 0 to 255'),
        (dict(type='Translate', magnitude=7.0), 'translate_x takes -1 to 1'),
        (3, 'expected a dict of a transform'),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_place(step: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one(step)


@pytest.mark.parametrize(
    ('transform', 'message'),
    [
        (dict(type='ColorJitter'), 'expected AutoAugment or RandAugment'),
        (dict(type='RandomApply', transforms=dict(type='ColorJitter')), 'type is ColorJitter, expected'),
        (dict(type='RandomApply', transforms=[{}, {}]), 'RandomApply has 2 transforms, expected one'),
        (dict(type='AutoAugment', policies='unheard'), "is 'unheard', known are"),
        (dict(type='AutoAugment', policies=[]), 'expected a list'),
        (dict(type='AutoAugment', policies=[3]), r'policies\[0\] is 3, expected a list'),
        ([], 'expected a dict'),
    ],
)
def test_other_transforms_are_refused(transform: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_mmpretrain(transform, presets=PRESETS)


def test_a_hole_in_pixels_is_a_share_of_the_shorter_side() -> None:
    (hole,) = one(dict(type='Cutout', shape=8, prob=1.0), size=(32, 64)).choices()
    assert hole == Choice('cutout', 0.25)


def test_two_fills_do_not_fit_one_policy() -> None:
    steps = [dict(type='Rotate', angle=5.0, pad_val=pad) for pad in (0, 128)]
    with pytest.raises(ValueError, match='a policy has one fill'):
        from_mmpretrain(dict(type='AutoAugment', policies=[steps]))


class TestExport:
    @pytest.mark.parametrize(
        'choice',
        [
            *(Choice(name) for name in ('identity', 'auto_contrast', 'equalize', 'invert')),
            *(Choice(name) for name in ('horizontal_flip', 'vertical_flip')),
            *(Choice('rotate', 25.0), Choice('translate_x', 0.2), Choice('translate_y', -0.1), Choice('posterize', 3)),
            *(Choice('solarize', 0.3), Choice('solarize', 0.0), Choice('solarize_add', 0.4), Choice('saturation', 0.5)),
            *(Choice('contrast', -0.5), Choice('brightness', 0.3)),
        ],
        ids=lambda choice: f'{choice.operation}-{choice.magnitude}',
    )
    def test_the_transform_does_what_the_policy_does(self, choice: Choice) -> None:
        policy = AugmentPolicy((SubPolicy((Stage((choice,)),)),), fill=(0.2, 0.6, 0.8), interpolation='nearest')
        image = picture((SIDE, SIDE))
        changed = ours(image, policy, (choice.operation, choice.magnitude))
        assert share_apart(changed, theirs(to_mmpretrain(policy), image), 1.6) < 0.015

    def test_what_is_exported_and_imported_again_is_the_policy(self) -> None:
        choices = (
            Choice('rotate', (5.0, 20.0), 0.3, signed=True),
            Choice('translate_y', -0.25, 0.7),
            Choice('brightness', (-0.5, 0.5)),
            Choice('posterize', 2.0),
            Choice('solarize', (0.25, 0.5)),
        )
        flips = (Choice('horizontal_flip', probability=1), Choice('vertical_flip', probability=0.5))
        for policy in (
            AugmentPolicy((SubPolicy((Stage(choices, 3),)),), fill=0.0, interpolation='nearest'),
            AugmentPolicy(tuple(SubPolicy((Stage((one,)), Stage((Choice('invert'),)))) for one in choices), fill=0.4),
            AugmentPolicy((SubPolicy((Stage(flips),)),), probability=0.3, fill=0.0),
        ):
            config = to_mmpretrain(policy)
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                TRANSFORMS.build(config)
            again = from_mmpretrain(config)
            assert again.probability == policy.probability
            assert [len(sub.stages) for sub in again.sub_policies] == [len(sub.stages) for sub in policy.sub_policies]
            for mine, other in zip(policy.choices(), again.choices(), strict=True):
                assert (mine.operation, mine.signed) == (other.operation, other.signed)
                assert (mine.probability, mine.weight) == (other.probability, other.weight)
                assert mine.bounds == pytest.approx(other.bounds, abs=0.004)
            if policy.operations == ('horizontal_flip', 'vertical_flip'):
                continue  # no warp says fill and interpolation
            assert again.fill == pytest.approx(policy.fill, abs=0.002)
            assert again.interpolation == policy.interpolation

    def test_the_probability_of_the_policy_is_around_the_whole(self) -> None:
        policy = AugmentPolicy((SubPolicy((Stage((Choice('invert'),), 2),)),), probability=0.3)
        config = to_mmpretrain(policy)
        assert (config['type'], config['prob']) == ('RandomApply', 0.3)
        assert [len(steps) for steps in config['transforms'][0]['policies']] == [2]
        with DefaultScope.overwrite_default_scope('mmpretrain'):  # as in a run
            TRANSFORMS.build(config)

    def test_published_policies_can_be_exported_but_for_the_shears(self) -> None:
        with pytest.raises(ExportError, match='shear_x: shears of MMPretrain leave the upper left corner'):
            to_mmpretrain(rand_augment())
        for policy in (rand_augment(), auto_augment('cifar10'), auto_augment('imagenet')):
            image = (random_images(1, (32, 32))[0] * 255).byte()
            assert theirs(to_mmpretrain(policy, approximate=True), image).shape == image.shape

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            ({'choices': (Choice('blur'),)}, 'blur: MMPretrain has no such operation'),
            ({'choices': (Choice('scale', 0.1),)}, 'scale: MMPretrain has no such operation'),
            ({'choices': (Choice('sharpness', 0.1),)}, 'sharpness of MMPretrain changes the outermost pixels'),
            ({'choices': (Choice('posterize', (0.0, 3.0)),)}, 'posterize with a magnitude that is drawn'),
            ({'choices': (Choice('invert'), Choice('equalize', weight=2))}, 'choices have different weights'),
            ({'fill': 'border'}, "fills with 'border'"),
            ({'fill': (0.1, 0.2), 'choices': (Choice('rotate', 1.0),)}, 'fills 2 channels'),
            ({'trajectory': (TrajectoryPoint(0.5, (1.0,)),)}, 'changes along the training'),
        ],
    )
    def test_what_cannot_be_said_exactly_is_refused_with_the_reason(self, options: dict, message: str) -> None:
        options = {'choices': (Choice('invert'),), **options}
        policy = AugmentPolicy((SubPolicy((Stage(options.pop('choices')),)),), **options)
        with pytest.raises(ExportError, match=message):
            to_mmpretrain(policy)

    def test_other_draws_are_refused(self) -> None:
        one, two = Stage((Choice('invert'),)), Stage((Choice('invert'), Choice('equalize')))
        with pytest.raises(ExportError, match='a stage among others draws one of several'):
            to_mmpretrain(AugmentPolicy((SubPolicy((one, two)),)))
        with pytest.raises(ExportError, match='sub-policies have different weights'):
            to_mmpretrain(AugmentPolicy((SubPolicy((one,)), SubPolicy((one,), 2.0))))
