"""Policies of torchvision and genotypes do to a picture what their own code does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torchvision.transforms import v2

from mmdas.search.augmentation import (
    AugmentPolicy,
    Choice,
    Drawn,
    PolicySampler,
    apply_drawn,
    auto_augment,
    from_genotype,
    rand_augment,
    trivial_augment,
)
from mmdas.search.augmentation.published import AUTO_AUGMENT, NAMES

WITH_LEVEL = [name for name in NAMES if name not in ('Identity', 'AutoContrast', 'Equalize', 'Invert')]
COLOUR_LEVELS = 1.5  # of 255, that rounding and greys may differ by


def picture(size: tuple[int, int]) -> Tensor:
    """(3, H, W) bytes: smooth colours and some noise."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(*(torch.linspace(0, 6, side) for side in size), indexing='ij')
    waves = torch.stack([torch.sin(x + y), torch.cos(1.3 * x - 0.4 * y), torch.sin(0.7 * y)]) * 80 + 120
    return (waves + 20 * torch.rand(3, *size, generator=generator)).clamp(0, 255).byte()


def ours(image: Tensor, policy: AugmentPolicy, *steps: tuple[str, float]) -> Tensor:
    """Apply operations with the canvas of a policy; the result in levels of 0 to 255."""
    changed, _ = apply_drawn(image[None] / 255, None, Drawn.same(steps, 1), policy.canvas)
    return changed[0] * 255


def shifted(image: Tensor, axis: str, pixels: int) -> Tensor:
    return torch.roll(image, pixels, -1 if axis == 'x' else -2)


def share_apart(ours: Tensor, theirs: Tensor, levels: float) -> float:
    return ((ours - theirs.float()).abs() > levels).float().mean().item()


def by_torchvision(name: str, image: Tensor, magnitude: int, bins: int, sign: int, transform: type) -> Tensor:
    """What a transform of torchvision does with one operation of its table."""
    apply = transform(num_magnitude_bins=bins, **({'num_ops': 1} if transform is v2.RandAugment else {}))
    apply.magnitude = magnitude
    function, signed = apply._AUGMENTATION_SPACE[name]

    def values(*arguments: int) -> Tensor | None:
        found = function(*arguments)
        return found if found is None or not signed else sign * found

    apply._AUGMENTATION_SPACE = {name: (values, False)}
    return apply(image)


@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('name', NAMES)
def test_operation_of_rand_augment_does_what_torchvision_does(name: str, sign: int) -> None:
    if name == 'Invert':
        pytest.skip('RandAugment does not have it')
    magnitude, side = 20, 331 if name.startswith('Translate') else 100  # whole pixels: 100 of 331, 20 at the border
    image, policy = picture((side, side)), rand_augment(1, magnitude)
    (choice,) = (choice for choice in policy.choices() if choice.operation == NAMES[name])
    changed = ours(image, policy, (choice.operation, sign * choice.magnitude if choice.signed else choice.magnitude))
    theirs = by_torchvision(name, image, magnitude, 31, sign, v2.RandAugment)
    if name.startswith('Shear'):  # about the corner: the same picture, moved by 0.2 * 50 pixels
        axis = name[-1].lower()
        theirs = shifted(theirs, axis, sign * 10)
        changed, theirs = (t[:, 25:75, 25:75] for t in (changed, theirs))
        assert share_apart(changed, shifted(theirs, axis, 1), 0.5) > 0.8
        assert share_apart(changed, theirs, 0.5) < 0.04  # every fifth row lies half way between two pixels
    elif name.startswith(('Translate', 'Rotate')):
        assert share_apart(changed, theirs, 0.5) < 0.01
    else:
        assert share_apart(changed, theirs, COLOUR_LEVELS) < 1e-3


@pytest.mark.parametrize('name', AUTO_AUGMENT)
def test_sub_policies_of_auto_augment_do_what_torchvision_does(name: str) -> None:
    policy = auto_augment(name, fill=0.0)
    transform = v2.AutoAugment(v2.AutoAugmentPolicy(name))
    theirs = transform._policies
    assert len(theirs) == len(policy.sub_policies) == 25
    table = {key: (function, False) for key, (function, _) in transform._AUGMENTATION_SPACE.items()}
    image, compared = picture((331, 331)), 0
    for steps, sub in zip(theirs, policy.sub_policies, strict=True):
        choices = [stage.choices[0] for stage in sub.stages]
        assert [choice.probability for choice in choices] == [probability for _, probability, _ in steps]
        assert [choice.signed for choice in choices] == [transform._AUGMENTATION_SPACE[step[0]][1] for step in steps]
        shear = any(step[0].startswith('Shear') for step in steps)
        if shear or any(step[0].startswith('Translate') and step[2] % 3 for step in steps):
            continue  # about another point, or cut to whole pixels
        transform._policies, transform._AUGMENTATION_SPACE = [[(step[0], 1.0, step[2]) for step in steps]], table
        changed = ours(image, policy, *((choice.operation, choice.magnitude) for choice in choices))
        assert share_apart(changed, transform(image), 2.5) < 0.03, steps
        transform._AUGMENTATION_SPACE = v2.AutoAugment._AUGMENTATION_SPACE
        compared += 1
    assert compared >= 9


@pytest.mark.parametrize('name', WITH_LEVEL)
@pytest.mark.parametrize('size', [(32, 32), (224, 256)])
def test_ranges_of_trivial_augment_are_those_of_torchvision(name: str, size: tuple[int, int]) -> None:
    policy = trivial_augment(size)
    function, signed = v2.TrivialAugmentWide._AUGMENTATION_SPACE[name]
    values = function(31, *size)
    choices = [choice for choice in policy.choices() if choice.operation == NAMES[name]]
    if name == 'Posterize':
        weights = {8 - choice.magnitude: choice.weight for choice in choices}
        assert weights == pytest.approx({bits: (values == bits).float().mean().item() for bits in range(2, 9)})
        return
    (choice,) = choices
    side = {'TranslateX': size[1], 'TranslateY': size[0]}.get(name, 1)
    expected = 1 - values if name == 'Solarize' else values / side
    assert choice.bounds == pytest.approx((expected.min().item(), expected.max().item()), abs=1 / 255)
    assert choice.signed == signed


def test_trivial_augment_draws_one_operation_of_14_alike() -> None:
    drawn = PolicySampler(trivial_augment((32, 32)))(14_000, torch.Generator().manual_seed(0))
    counts = drawn.indices[:, 0].bincount(minlength=14)
    assert drawn.indices.shape == (14_000, 1) and len(drawn.operations) == 14
    assert ((counts - 1000).abs() < 160).all()


@pytest.mark.parametrize('name', WITH_LEVEL)
def test_widest_level_of_trivial_augment_does_what_torchvision_does(name: str) -> None:
    side = 64
    image, policy = picture((side, side)), trivial_augment((side, side))
    choice = [choice for choice in policy.choices() if choice.operation == NAMES[name]][-1]
    changed = ours(image, policy, (choice.operation, choice.bounds[1]))
    transform = v2.TrivialAugmentWide()
    function, _ = transform._AUGMENTATION_SPACE[name]
    transform._AUGMENTATION_SPACE = {name: (lambda *a: function(*a)[-1:].expand(31), False)}
    theirs = transform(image)
    if name.startswith('Shear'):
        return  # moved by 0.99 * 32, of which the next test says the same at a slope with whole pixels
    assert share_apart(changed, theirs, COLOUR_LEVELS) < 0.02


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: auto_augment('mnist'), "AutoAugment has policies of .*'mnist'"),
        (lambda: rand_augment(2, 31), r'magnitude of RandAugment must be in 0..30, got 31'),
        (lambda: trivial_augment((0, 3)), r'size must be \(height, width\)'),
    ],
)
def test_what_is_not_published_is_refused(make: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def by_pillow(name: str, level: float, sign: int, picture: Image.Image) -> Image.Image:
    """An operation of a genotype, written down from its definition in the unit of Pillow."""
    slope, part = sign * (0.6 * level - 0.3), sign * (0.9 * level - 0.45)
    width, height = picture.size
    affine = {
        'ShearX': (1, slope, 0, 0, 1, 0),
        'ShearY': (1, 0, 0, slope, 1, 0),
        'TranslateX': (1, 0, part * width, 0, 1, 0),
        'TranslateY': (1, 0, 0, 0, 1, part * height),
    }
    if name in affine:
        return picture.transform(picture.size, Image.Transform.AFFINE, affine[name])
    factor = 0.1 + 1.8 * level
    return {
        'Rotate': lambda: picture.rotate(sign * (60 * level - 30)),
        'AutoContrast': lambda: ImageOps.autocontrast(picture),
        'Invert': lambda: ImageOps.invert(picture),
        'Equalize': lambda: ImageOps.equalize(picture),
        'Flip': lambda: ImageOps.mirror(picture),
        'Solarize': lambda: ImageOps.solarize(picture, 256 * level),
        'Posterize': lambda: ImageOps.posterize(picture, int(4 + 4 * level)),
        'Contrast': lambda: ImageEnhance.Contrast(picture).enhance(factor),
        'Color': lambda: ImageEnhance.Color(picture).enhance(factor),
        'Brightness': lambda: ImageEnhance.Brightness(picture).enhance(factor),
        'Sharpness': lambda: ImageEnhance.Sharpness(picture).enhance(factor),
    }[name]()


GENOTYPE_OPERATIONS = [
    *('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'AutoContrast', 'Invert', 'Equalize', 'Flip'),
    *('Solarize', 'Posterize', 'Contrast', 'Color', 'Brightness', 'Sharpness'),
]


@pytest.mark.parametrize('level', [0.0, 0.25, 0.6, 1.0])
@pytest.mark.parametrize('name', GENOTYPE_OPERATIONS)
def test_operation_of_a_genotype_does_what_pillow_does(name: str, level: float) -> None:
    image = picture((200, 200))
    policy = from_genotype(f"[[('{name}', 0.4, {level})]]")
    (choice,) = policy.choices()
    assert choice.probability == 0.4
    pil = Image.fromarray(image.permute(1, 2, 0).numpy())
    theirs = {sign: torch.from_numpy(np.array(by_pillow(name, level, sign, pil))).permute(2, 0, 1) for sign in (-1, 1)}
    signs = (-1, 1) if choice.signed else (1,)
    found = [ours(image, policy, (choice.operation, sign * choice.magnitude)) for sign in signs]
    tolerated = 0.04 if name.startswith('Shear') else 0.01 if name.startswith(('Translate', 'Rotate')) else 1e-3
    for changed in found:
        candidates = []
        for sign in (-1, 1):
            other = theirs[sign]
            if name.startswith('Shear'):
                pixels = round(100 * sign * (0.6 * level - 0.3))
                other = shifted(other, name[-1].lower(), pixels)
                candidates.append(share_apart(changed[:, 70:130, 70:130], other[:, 70:130, 70:130], 0.5))
            else:
                candidates.append(share_apart(changed, other, 0.5 if tolerated > 1e-3 else COLOUR_LEVELS))
        assert min(candidates) < tolerated


def test_a_genotype_keeps_order_and_cuts_off_what_is_out_of_range() -> None:
    policy = from_genotype("[[('Rotate', 1.4, 1.7), ('Cutout', -0.1, 0.5)], [('Invert', 0.2, 0.9)]]")
    first, second = policy.sub_policies
    assert [stage.choices[0] for stage in first.stages] == [
        Choice('rotate', 30.0, 1.0, signed=True),
        Choice('cutout', 0.1, 0.0),
    ]
    assert second.stages[0].choices == (Choice('invert', probability=0.2),)


def test_a_genotype_is_found_by_its_name_in_a_file_of_several() -> None:
    text = "A = first = [[('Invert', 0.5, 0.5)]]\n# B = 3\nB = [[('Equalize', 0.5, 0.5)]]\n"
    assert from_genotype(text, 'B').operations == ('equalize',)
    assert from_genotype(text, 'first').operations == ('invert',)
    with pytest.raises(ValueError, match=r"holds the genotypes .*'A', 'B', 'first'.*; name one of them, got None"):
        from_genotype(text)
    assert from_genotype(text.splitlines()[0]).operations == ('invert',)


@pytest.mark.parametrize(
    'text',
    [
        *('', '3', '[]', '[3]', '[[]]', "[['Rotate']]", "[[('Rotate', 1)]]", "[[('Warp', 0.5, 0.5)]]", '[[', 'x = 1'),
        *("[[('Rotate', 'a', 0.5)]]", "[[('Rotate', True, 0.5)]]", "[[(['Rotate'], 0.5, 0.5)]]", '[' * 1000),
        *("__import__('os').getcwd()", "A = __import__('os').getcwd()", "[[('Rotate', 0.5, 1e999 - 1e999)]]"),
    ],
)
def test_a_text_that_is_no_genotype_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_genotype(text)
