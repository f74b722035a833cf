"""S2: the operations of augmentation policies on images and label maps, against MMPretrain and kornia, on one core.

mmdas and kornia work on batches of floats, MMPretrain on one picture of bytes after the other, as in their pipelines.
Labels follow in all three: those of MMPretrain by the function of mmcv that its transform calls, with nearest pixels.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import mmcv
import numpy as np
import torch
from mmpretrain.registry import TRANSFORMS
from torch import Tensor

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.warps import is_installed
from mmdas.search.augmentation import Canvas, Drawn, apply_drawn

TITLE = 'operations of augmentation policies on images and label maps'
METRICS = ('ops_over_mmpretrain', 'ops_over_kornia')
SIZES = ((32, 128), (224, 8))  # (side, batch)
QUICK_SIZES = ((32, 32), (224, 4))
ANGLE, SHIFT, SLOPE, SHARE = 20.0, 0.2, 0.2, 0.4
GREY = (128, 128, 128)
Step = Callable[[], object]

OPERATIONS: Mapping[str, float] = {
    'rotate': ANGLE,
    'translate_x': SHIFT,
    'translate_y': SHIFT,
    'shear_x': SLOPE,
    'shear_y': SLOPE,
    'auto_contrast': 0.0,
    'equalize': 0.0,
    'invert': 0.0,
    'posterize': 4.0,
    'solarize': SHARE,
    'solarize_add': SHARE,
    'saturation': SHARE,
    'contrast': SHARE,
    'brightness': SHARE,
    'sharpness': SHARE,
}


def run(settings: Settings) -> Report:
    """Time every operation at every size; the metrics are those of all operations of the worst size."""
    report, found = Report(), {}
    others = ['mmpretrain', *(['kornia'] if is_installed('kornia') else [])]
    if 'kornia' not in others:
        print('ops_over_kornia is left out: kornia is not installed')
    for side, batch in QUICK_SIZES if settings.quick else SIZES:
        timings = {name: race_operation(name, side, batch, others, 6 if settings.quick else 15) for name in OPERATIONS}
        rows = [row(name, timing, others, batch) for name, timing in timings.items()]
        for other in others:
            both = [timing for timing in timings.values() if other in timing]
            speedup = ratio(total([timing[other] for timing in both]), total([timing['mmdas'] for timing in both]))
            found.setdefault(other, []).append(speedup)
            rows.append(
                (
                    f'all that {other} has',
                    *[None] * (1 + len(others)),
                    *(speedup if o == other else None for o in others),
                )
            )
        columns = ('operation', 'mmdas', *others, *(f'x {other}' for other in others))
        report.table(f'microseconds an image of {side} x {side} with its labels, batch {batch}, CPU', columns, rows)
    for other, speedups in found.items():
        report.metric(f'ops_over_{other}', min(speedups))
    return report


def row(name: str, timing: Mapping[str, Timing], others: list[str], batch: int) -> tuple:
    """Times of one operation, and how many times as long the others take."""
    times = [1e6 * timing[who].median / batch if who in timing else None for who in ('mmdas', *others)]
    return (name, *times, *(ratio(timing[other], timing['mmdas']) if other in timing else None for other in others))


def total(timings: list[Timing]) -> Timing:
    """Seconds of all operations in each round."""
    return Timing(tuple(sum(seconds) for seconds in zip(*(timing.seconds for timing in timings), strict=True)))


def race_operation(name: str, side: int, batch: int, others: list[str], rounds: int) -> dict[str, Timing]:
    """Timings of those who have an operation."""
    images, labels = make_batch(side, batch)
    steps: dict[str, Step] = {'mmdas': by_mmdas(name, images, labels)}
    steps['mmpretrain'] = by_mmpretrain(name, images, labels)
    if 'kornia' in others and name in kornia_modules():
        steps['kornia'] = by_kornia(name, images, labels)
    return race(steps, rounds)


def make_batch(side: int, batch: int) -> tuple[Tensor, Tensor]:
    """Images of bytes as floats, and labels of 20 classes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, side, side), generator=generator) / 255
    return images, torch.randint(0, 20, (batch, 1, side, side), generator=generator)


def by_mmdas(name: str, images: Tensor, labels: Tensor) -> Callable[[], tuple[Tensor, Tensor | None]]:
    """An operation on a batch."""
    drawn = Drawn.same([(name, OPERATIONS[name])], len(images))
    return lambda: apply_drawn(images, labels, drawn, Canvas())


def mmpretrain_config(name: str) -> dict:
    """The transform that does the same; its angles and slopes have the other sign."""
    sure = dict(random_negative_prob=0.0)
    warp = dict(sure, pad_val=GREY, interpolation='bilinear')
    down = dict(warp, direction='vertical')
    return {
        'rotate': dict(type='Rotate', angle=-ANGLE, **warp),
        'translate_x': dict(type='Translate', magnitude=SHIFT, **warp),
        'translate_y': dict(type='Translate', magnitude=SHIFT, **down),
        'shear_x': dict(type='Shear', magnitude=-SLOPE, **warp),
        'shear_y': dict(type='Shear', magnitude=-SLOPE, **down),
        'auto_contrast': dict(type='AutoContrast'),
        'equalize': dict(type='Equalize'),
        'invert': dict(type='Invert'),
        'posterize': dict(type='Posterize', bits=4),
        'solarize': dict(type='Solarize', thr=255 * (1 - SHARE)),
        'solarize_add': dict(type='SolarizeAdd', magnitude=255 * SHARE),
        'saturation': dict(type='ColorTransform', magnitude=SHARE, **sure),
        'contrast': dict(type='Contrast', magnitude=SHARE, **sure),
        'brightness': dict(type='Brightness', magnitude=SHARE, **sure),
        'sharpness': dict(type='Sharpness', magnitude=SHARE, **sure),
    }[name]


def mmcv_label_warp(name: str, side: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """What moves a label map as the transform moves the picture; None where it stays."""
    nearest = dict(border_value=255, interpolation='nearest')
    return {
        'rotate': partial(mmcv.imrotate, angle=-ANGLE, **nearest),
        'translate_x': partial(mmcv.imtranslate, offset=SHIFT * side, **nearest),
        'translate_y': partial(mmcv.imtranslate, offset=SHIFT * side, direction='vertical', **nearest),
        'shear_x': partial(mmcv.imshear, magnitude=-SLOPE, **nearest),
        'shear_y': partial(mmcv.imshear, magnitude=-SLOPE, direction='vertical', **nearest),
    }.get(name)


def by_mmpretrain(name: str, images: Tensor, labels: Tensor) -> Callable[[], list[tuple[np.ndarray, np.ndarray]]]:
    """An operation on one picture after the other."""
    config = mmpretrain_config(name)
    transform = TRANSFORMS.build({'prob': 1.0, **config, 'type': f'mmpretrain.{config["type"]}'})
    move = mmcv_label_warp(name, images.shape[-1])
    pictures = [np.ascontiguousarray(image) for image in (images.flip(1) * 255).round().byte().movedim(1, -1).numpy()]
    maps = [np.ascontiguousarray(label[0]) for label in labels.byte().numpy()]

    def step() -> list[tuple[np.ndarray, np.ndarray]]:
        return [
            (transform({'img': picture})['img'], label if move is None else move(label))
            for picture, label in zip(pictures, maps, strict=True)
        ]

    return step


def kornia_modules() -> Mapping[str, Callable[[], torch.nn.Module]]:
    """The augmentations that do about the same; its brightness adds, and it has no ``solarize_add`` as the others."""
    from kornia import augmentation as kornia

    degrees = math.degrees(math.atan(SLOPE))
    factor, threshold = (1 + SHARE, 1 + SHARE), (1 - SHARE, 1 - SHARE)
    return {
        'rotate': lambda: kornia.RandomRotation((ANGLE, ANGLE), p=1.0),
        'translate_x': lambda: kornia.RandomTranslate((SHIFT, SHIFT), None, p=1.0),
        'translate_y': lambda: kornia.RandomTranslate(None, (SHIFT, SHIFT), p=1.0),
        'shear_x': lambda: kornia.RandomShear((degrees, degrees, 0.0, 0.0), p=1.0),
        'shear_y': lambda: kornia.RandomShear((0.0, 0.0, degrees, degrees), p=1.0),
        'auto_contrast': lambda: kornia.RandomAutoContrast(p=1.0),
        'equalize': lambda: kornia.RandomEqualize(p=1.0),
        'invert': lambda: kornia.RandomInvert(p=1.0),
        'posterize': lambda: kornia.RandomPosterize((4, 4), p=1.0),
        'solarize': lambda: kornia.RandomSolarize(threshold, 0.0, p=1.0),
        'saturation': lambda: kornia.RandomSaturation(factor, p=1.0),
        'contrast': lambda: kornia.RandomContrast(factor, p=1.0),
        'brightness': lambda: kornia.RandomBrightness(factor, p=1.0),
        'sharpness': lambda: kornia.RandomSharpness(factor, p=1.0),
    }


def by_kornia(name: str, images: Tensor, labels: Tensor) -> Callable[[], list[Tensor]]:
    """An operation on a batch."""
    from kornia.augmentation import AugmentationSequential

    augment = AugmentationSequential(kornia_modules()[name](), data_keys=['input', 'mask'])
    masks = labels.float()  # kornia takes no integers
    return lambda: augment(images, masks)
