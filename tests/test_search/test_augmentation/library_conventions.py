"""What the libraries do with a positive argument, measured on small pictures and told in a few words.

Run as a script this prints the table of docs/augmentation.md.
"""

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

Picture = np.ndarray  # (H, W, 3), RGB bytes
Apply = Callable[[Picture], Picture]
SIDE = 101
ANGLE, SLOPE, SHIFT, FACTOR, BITS, LEVEL = 30.0, 0.3, 0.2, 1.5, 4, 128


def of_mmdas() -> dict[str, Apply]:
    from mmdas.search.augmentation import Canvas, Drawn, apply_drawn

    def run(name: str, magnitude: float, picture: Picture) -> Picture:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
        changed, _ = apply_drawn(image, None, Drawn.same([(name, magnitude)], 1), Canvas())
        return (changed[0] * 255).permute(1, 2, 0).round().byte().numpy()

    magnitudes = {
        **{'rotate': ANGLE, 'shear_x': SLOPE, 'shear_y': SLOPE, 'translate_x': SHIFT, 'translate_y': SHIFT},
        **{'posterize': 8 - BITS, 'solarize': 1 - (LEVEL - 0.5) / 255, 'solarize_add': 50 / 255},
        **{'brightness': FACTOR - 1, 'contrast': -1.0, 'saturation': -1.0, 'sharpness': 1.0},
        **{'auto_contrast': 0.0, 'equalize': 0.0},
    }
    return {name: partial(run, name, magnitude) for name, magnitude in magnitudes.items()}


def on_pillow(function: Callable) -> Apply:
    return lambda picture: np.array(function(Image.fromarray(picture)))


def of_pillow() -> dict[str, Apply]:
    def affine(*coefficients: float) -> Apply:
        return on_pillow(lambda picture: picture.transform(picture.size, Image.Transform.AFFINE, coefficients))

    return {
        'rotate': on_pillow(lambda picture: picture.rotate(ANGLE)),
        'shear_x': affine(1, SLOPE, 0, 0, 1, 0),
        'shear_y': affine(1, 0, 0, SLOPE, 1, 0),
        'translate_x': affine(1, 0, SHIFT * SIDE, 0, 1, 0),
        'translate_y': affine(1, 0, 0, 0, 1, SHIFT * SIDE),
        'posterize': on_pillow(lambda picture: ImageOps.posterize(picture, BITS)),
        'solarize': on_pillow(lambda picture: ImageOps.solarize(picture, LEVEL)),
        'brightness': on_pillow(lambda picture: ImageEnhance.Brightness(picture).enhance(FACTOR)),
        'contrast': on_pillow(lambda picture: ImageEnhance.Contrast(picture).enhance(0)),
        'saturation': on_pillow(lambda picture: ImageEnhance.Color(picture).enhance(0)),
        'sharpness': on_pillow(lambda picture: ImageEnhance.Sharpness(picture).enhance(2)),
        'auto_contrast': on_pillow(ImageOps.autocontrast),
        'equalize': on_pillow(ImageOps.equalize),
    }


def of_torchvision() -> dict[str, Apply]:
    """What its RandAugment makes of its magnitudes."""
    from torchvision.transforms import v2

    def run(name: str, magnitude: float, picture: Picture) -> Picture:
        transform = v2.RandAugment(1, 0, 1)
        transform._AUGMENTATION_SPACE = {name: (lambda *_: torch.tensor([magnitude]), False)}
        return transform(torch.from_numpy(picture).permute(2, 0, 1)).permute(1, 2, 0).numpy()

    table = {
        **{'rotate': ('Rotate', ANGLE), 'shear_x': ('ShearX', SLOPE), 'shear_y': ('ShearY', SLOPE)},
        **{'translate_x': ('TranslateX', SHIFT * SIDE), 'translate_y': ('TranslateY', SHIFT * SIDE)},
        **{'posterize': ('Posterize', BITS), 'solarize': ('Solarize', LEVEL / 255)},
        **{'brightness': ('Brightness', FACTOR - 1), 'contrast': ('Contrast', -1), 'saturation': ('Color', -1)},
        **{'sharpness': ('Sharpness', 1), 'auto_contrast': ('AutoContrast', 0), 'equalize': ('Equalize', 0)},
    }
    return {key: partial(run, *value) for key, value in table.items()}


def of_mmpretrain() -> dict[str, Apply]:
    from mmpretrain.registry import TRANSFORMS

    def run(config: dict, picture: Picture) -> Picture:
        transform = TRANSFORMS.build({'prob': 1.0, **config})
        return transform({'img': np.ascontiguousarray(picture[..., ::-1])})['img'][..., ::-1]

    sure = dict(random_negative_prob=0.0)
    vertical = dict(direction='vertical', **sure)
    configs = {
        'rotate': dict(type='Rotate', angle=ANGLE, **sure),
        'shear_x': dict(type='Shear', magnitude=SLOPE, **sure),
        'shear_y': dict(type='Shear', magnitude=SLOPE, **vertical),
        'translate_x': dict(type='Translate', magnitude=SHIFT, **sure),
        'translate_y': dict(type='Translate', magnitude=SHIFT, **vertical),
        'posterize': dict(type='Posterize', bits=BITS),
        'solarize': dict(type='Solarize', thr=LEVEL),
        'solarize_add': dict(type='SolarizeAdd', magnitude=50),
        'brightness': dict(type='Brightness', magnitude=FACTOR - 1, **sure),
        'contrast': dict(type='Contrast', magnitude=-1.0, **sure),
        'saturation': dict(type='ColorTransform', magnitude=-1.0, **sure),
        'sharpness': dict(type='Sharpness', magnitude=1.0, **sure),
        'auto_contrast': dict(type='AutoContrast'),
        'equalize': dict(type='Equalize'),
    }
    return {name: partial(run, config) for name, config in configs.items()}


def of_timm() -> dict[str, Apply]:
    from timm.data import auto_augment as timm

    warp = dict(fillcolor=(128,) * 3, resample=Image.NEAREST)
    return {
        'rotate': on_pillow(lambda picture: timm.rotate(picture, ANGLE, **warp)),
        'shear_x': on_pillow(lambda picture: timm.shear_x(picture, SLOPE, **warp)),
        'shear_y': on_pillow(lambda picture: timm.shear_y(picture, SLOPE, **warp)),
        'translate_x': on_pillow(lambda picture: timm.translate_x_rel(picture, SHIFT, **warp)),
        'translate_y': on_pillow(lambda picture: timm.translate_y_rel(picture, SHIFT, **warp)),
        'posterize': on_pillow(lambda picture: timm.posterize(picture, BITS)),
        'solarize': on_pillow(lambda picture: timm.solarize(picture, LEVEL)),
        'solarize_add': on_pillow(lambda picture: timm.solarize_add(picture, 50)),
        'brightness': on_pillow(lambda picture: timm.brightness(picture, FACTOR)),
        'contrast': on_pillow(lambda picture: timm.contrast(picture, 0)),
        'saturation': on_pillow(lambda picture: timm.color(picture, 0)),
        'sharpness': on_pillow(lambda picture: timm.sharpness(picture, 2)),
        'auto_contrast': on_pillow(timm.auto_contrast),
        'equalize': on_pillow(timm.equalize),
    }


def of_kornia() -> dict[str, Apply]:
    from kornia import augmentation as kornia

    def run(module: torch.nn.Module, picture: Picture) -> Picture:
        changed = module(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255)
        return (changed[0] * 255).permute(1, 2, 0).round().clamp(0, 255).byte().numpy()

    degrees = float(np.degrees(np.arctan(SLOPE)))
    modules = {
        'rotate': kornia.RandomRotation((ANGLE, ANGLE), p=1.0),
        'shear_x': kornia.RandomShear((degrees, degrees, 0.0, 0.0), p=1.0),
        'shear_y': kornia.RandomShear((0.0, 0.0, degrees, degrees), p=1.0),
        'translate_x': kornia.RandomTranslate((SHIFT, SHIFT), None, p=1.0),
        'translate_y': kornia.RandomTranslate(None, (SHIFT, SHIFT), p=1.0),
        'posterize': kornia.RandomPosterize((BITS, BITS), p=1.0),
        'solarize': kornia.RandomSolarize((LEVEL / 255, LEVEL / 255), 0.0, p=1.0),
        'solarize_add': kornia.RandomSolarize((LEVEL / 255, LEVEL / 255), (50 / 255, 50 / 255), p=1.0),
        'brightness': kornia.RandomBrightness((FACTOR, FACTOR), p=1.0),
        'contrast': kornia.RandomContrast((0.0, 0.0), p=1.0),
        'saturation': kornia.RandomSaturation((0.0, 0.0), p=1.0),
        'sharpness': kornia.RandomSharpness((2.0, 2.0), p=1.0),
        'auto_contrast': kornia.RandomAutoContrast(p=1.0),
        'equalize': kornia.RandomEqualize(p=1.0),
    }
    return {name: partial(run, module) for name, module in modules.items()}


LIBRARIES: Mapping[str, Callable[[], dict[str, Apply]]] = {
    'mmdas': of_mmdas,
    'Pillow': of_pillow,
    'torchvision': of_torchvision,
    'MMPretrain': of_mmpretrain,
    'timm': of_timm,
    'kornia': of_kornia,
}


def has_library(name: str) -> bool:
    """Whether a library is installed; kornia and timm are not needed by the package."""
    return name not in ('timm', 'kornia') or importlib.util.find_spec(name) is not None


def dot(row: int, column: int) -> Picture:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[row - 1 : row + 2, column - 1 : column + 2] = 255
    return picture


def place(picture: Picture) -> np.ndarray:
    """(row, column) of the brightest spot; what is uncovered is grey at most."""
    return np.argwhere(picture[..., 1] > 200).mean(0)


def flat(*colour: int, side: int = 8) -> Picture:
    return np.full((side, side, 3), colour, np.uint8)


def rotation(apply: Apply) -> str:
    return 'counter-clockwise' if place(apply(dot(20, 50)))[1] < 50 else 'clockwise'


def shear(axis: int, apply: Apply) -> str:
    """Where the first, middle and last row (axis 0: of x) or column go; the point that stays."""
    words = ('left', 'right') if axis == 0 else ('up', 'down')

    def moved(line: int) -> float:
        at = (line, 50) if axis == 0 else (50, line)
        return place(apply(dot(*at)))[1 - axis] - 50

    low, middle = moved(30), moved(50)
    later = moved(70) - middle
    point = 'centre' if abs(middle) < 1 else 'corner'
    assert low * later < 0 or point == 'corner'
    return f'{point}; {"lower rows" if axis == 0 else "right columns"} {words[int(later > 0)]}'


def translation(axis: int, apply: Apply) -> str:
    by = place(apply(dot(50, 50)))[axis] - 50
    assert abs(abs(by) - SHIFT * SIDE) < 1
    return (('up', 'down') if axis == 0 else ('left', 'right'))[int(by > 0)]


def told(colour: np.ndarray) -> str:
    """A level, or red, green and blue where they differ."""
    return ', '.join(map(str, colour.tolist() if len(set(colour.tolist())) > 1 else colour[:1].tolist()))


def fill(apply: Apply) -> str:
    colours = apply(flat(255, 255, 255, side=SIDE))[0, 0], apply(flat(255, 255, 255, side=SIDE))[-1, -1]
    return told(min(colours, key=lambda colour: int(colour.sum())))


def level(colour: tuple[int, int, int], apply: Apply) -> str:
    return told(apply(flat(*colour))[4, 4])


def black_and_white(apply: Apply) -> str:
    """A picture half red, half blue: mean grey 53 of the whole."""
    picture = flat(255, 0, 0)
    picture[:, 4:] = (0, 0, 255)
    return told(apply(picture)[4, 4])


def border(apply: Apply) -> str:
    picture = np.random.default_rng(0).integers(60, 190, (9, 9, 3), dtype=np.uint8)
    changed = np.abs(apply(picture).astype(int) - picture) > 1
    assert changed[1:-1, 1:-1].any()
    return 'changed' if changed[0].any() else 'unchanged'


# Row of the table -> operation, what is measured of it.
ROWS: Mapping[str, tuple[str, Callable[[Apply], str]]] = {
    'rotate, positive': ('rotate', rotation),
    'shear x, positive': ('shear_x', partial(shear, 0)),
    'shear y, positive': ('shear_y', partial(shear, 1)),
    'translate x, positive': ('translate_x', partial(translation, 1)),
    'translate y, positive': ('translate_y', partial(translation, 0)),
    'a shift uncovers': ('translate_x', fill),
    'a rotation uncovers': ('rotate', fill),
    '4 bits of 255': ('posterize', partial(level, (255, 255, 255))),
    'solarize, threshold 128: level 128': ('solarize', partial(level, (128, 128, 128))),
    'solarize_add 50: level 100': ('solarize_add', partial(level, (100, 100, 100))),
    'solarize_add 50: level 140': ('solarize_add', partial(level, (140, 140, 140))),
    'brightness 1.5: level 100': ('brightness', partial(level, (100, 100, 100))),
    'contrast 0: red and blue': ('contrast', black_and_white),
    'colour 0: red': ('saturation', partial(level, (255, 0, 0))),
    'sharpness: border': ('sharpness', border),
    'auto_contrast: constant 77': ('auto_contrast', partial(level, (77, 77, 77))),
    'equalize: constant 77': ('equalize', partial(level, (77, 77, 77))),
}


def measured(library: str) -> dict[str, str]:
    """Row -> what a library does."""
    operations = LIBRARIES[library]()
    return {row: probe(operations[name]) if name in operations else '' for row, (name, probe) in ROWS.items()}


def table() -> str:
    columns = {library: measured(library) for library in LIBRARIES if has_library(library)}
    lines = [['', *columns], ['---'] * (len(columns) + 1)]
    lines += [[row, *(column[row] for column in columns.values())] for row in ROWS]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


if __name__ == '__main__':
    print(table())
