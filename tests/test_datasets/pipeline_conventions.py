"""What the pipelines of the libraries do with files, sizes and label maps, measured and told in a few words.

Run as a script this prints the table of docs/conventions.md.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

Probe = Callable[[Path], str]
ANGLE, SIDE, FACTOR = 30.0, 41, 4


def write(folder: Path, name: str, content: np.ndarray) -> str:
    path = folder / f'{name}.png'
    Image.fromarray(content).save(path)
    return str(path)


RED = np.full((4, 6, 3), (255, 0, 0), np.uint8)
DEEP = np.full((4, 6), 1000, np.uint16)
MANY = np.full((4, 6), 256, np.uint16)
DOT = np.zeros((SIDE, SIDE), np.uint8)
DOT[9:12, 19:22] = 1  # above the centre
COLUMNS = np.tile(np.arange(FACTOR * 16, dtype=np.uint8), (FACTOR * 16, 1))


def numbers(values: np.ndarray) -> str:
    return ', '.join(map(str, np.unique(values).tolist()))


def order(image: np.ndarray) -> str:
    """Order of the colours of a red image, channels last."""
    return {(255, 0, 0): 'RGB', (0, 0, 255): 'BGR'}[tuple(image[0, 0].tolist())]


def turned(label: np.ndarray) -> str:
    """Which way the dot went, and what the label map has in its corner."""
    return 'counter-clockwise' if np.argwhere(label == 1)[:, 1].mean() < SIDE // 2 else 'clockwise'


def off(label: np.ndarray) -> str:
    """How far from the middle of the pixels that became one the label was taken, in pixels of the source."""
    middle = np.arange(label.shape[1]) * FACTOR + (FACTOR - 1) / 2
    return f'{float((label[0] - middle).mean()):+g}'


def axes(shape: tuple[int, ...]) -> str:
    """How a size of (4, 8) was understood."""
    return {(4, 8): '(height, width)', (8, 4): '(width, height)'}[shape]


def of_toolbox(module: str) -> dict[str, Probe]:
    """MMSegmentation or MMPretrain: transforms of mmcv that both have, and those of label maps."""
    from mmcv.transforms import LoadImageFromFile, Resize

    def image(content: np.ndarray, folder: Path) -> np.ndarray:
        return LoadImageFromFile()({'img_path': write(folder, 'image', content)})['img']

    probes: dict[str, Probe] = {
        'colours of a file': lambda folder: order(image(RED, folder)),
        '16-bit grey, 1000': lambda folder: numbers(image(DEEP, folder)),
        'size=(4, 8) of a resize': lambda _: axes(Resize(scale=(4, 8))({'img': COLUMNS})['img'].shape),
    }
    return {**probes, **(of_label_maps() if module == 'mmseg' else {})}


def of_label_maps() -> dict[str, Probe]:
    from mmcv.transforms import Resize
    from mmseg.datasets.transforms import LoadAnnotations, RandomRotate

    def load(folder: Path) -> np.ndarray:
        sample = {'seg_map_path': write(folder, 'label', MANY), 'reduce_zero_label': False, 'seg_fields': []}
        return LoadAnnotations()(sample)['gt_seg_map']

    def turn() -> np.ndarray:
        sample = {'img': np.zeros((SIDE, SIDE, 3), np.uint8), 'gt_seg_map': DOT, 'seg_fields': ['gt_seg_map']}
        return RandomRotate(prob=1.0, degree=(ANGLE, ANGLE))(sample)['gt_seg_map']

    def shrink() -> np.ndarray:
        sample = {'img': COLUMNS, 'gt_seg_map': COLUMNS, 'seg_fields': ['gt_seg_map']}
        return Resize(scale=(16, 16))(sample)['gt_seg_map']

    return {
        'label 256 of a 16-bit file': lambda folder: numbers(load(folder)),
        'positive rotation': lambda _: turned(turn()),
        'label that a rotation uncovers': lambda _: str(turn()[0, 0]),
        'labels at a quarter of the size': lambda _: off(shrink()),
    }


def of_torchvision() -> dict[str, Probe]:
    from torchvision import io, tv_tensors
    from torchvision.transforms import v2

    def read(folder: Path, content: np.ndarray) -> np.ndarray:
        return io.decode_image(write(folder, 'image', content), io.ImageReadMode.RGB).permute(1, 2, 0).numpy()

    def turn() -> np.ndarray:
        mask = tv_tensors.Mask(torch.from_numpy(DOT))
        return v2.RandomRotation((ANGLE, ANGLE))(mask).numpy()

    columns = tv_tensors.Mask(torch.from_numpy(COLUMNS))
    return {
        'colours of a file': lambda folder: order(read(folder, RED)),
        '16-bit grey, 1000': lambda folder: numbers(read(folder, DEEP)),
        'label 256 of a 16-bit file': lambda folder: numbers(
            io.decode_image(write(folder, 'label', MANY)).numpy().astype(int)
        ),
        'size=(4, 8) of a resize': lambda _: axes(tuple(v2.Resize((4, 8))(columns).shape)),
        'positive rotation': lambda _: turned(turn()),
        'label that a rotation uncovers': lambda _: str(turn()[0, 0]),
        'labels at a quarter of the size': lambda _: off(v2.Resize((16, 16))(columns).numpy()),
    }


def of_pillow() -> dict[str, Probe]:
    def turn() -> np.ndarray:
        return np.array(Image.fromarray(DOT).rotate(ANGLE))

    def colours(folder: Path, content: np.ndarray) -> np.ndarray:
        return np.array(Image.open(write(folder, 'image', content)).convert('RGB'))

    columns = Image.fromarray(COLUMNS)
    return {
        'colours of a file': lambda folder: order(colours(folder, RED)),
        '16-bit grey, 1000': lambda folder: numbers(colours(folder, DEEP)),
        'label 256 of a 16-bit file': lambda folder: numbers(np.array(Image.open(write(folder, 'label', MANY)))),
        'size=(4, 8) of a resize': lambda _: axes(np.array(columns.resize((4, 8))).shape),
        'positive rotation': lambda _: turned(turn()),
        'label that a rotation uncovers': lambda _: str(turn()[0, 0]),
        'labels at a quarter of the size': lambda _: off(np.array(columns.resize((16, 16), Image.Resampling.NEAREST))),
    }


def of_mmdas() -> dict[str, Probe]:
    """Augmentation policies, on batches."""
    from mmdas.search.augmentation import Canvas, Drawn, apply_drawn

    def turn() -> np.ndarray:
        labels = torch.from_numpy(DOT)[None, None].long()
        drawn = Drawn.same([('rotate', ANGLE)], 1)
        return apply_drawn(torch.zeros(1, 3, SIDE, SIDE), labels, drawn, Canvas())[1][0, 0].numpy()

    return {
        'positive rotation': lambda _: turned(turn()),
        'label that a rotation uncovers': lambda _: str(turn()[0, 0]),
    }


LIBRARIES: Mapping[str, Callable[[], dict[str, Probe]]] = {
    'MMSegmentation': partial(of_toolbox, 'mmseg'),
    'MMPretrain': partial(of_toolbox, 'mmpretrain'),
    'torchvision': of_torchvision,
    'Pillow': of_pillow,
    'mmdas': of_mmdas,
}
ROWS = tuple(of_torchvision())


def measured(library: str) -> dict[str, str]:
    """Row -> what a library does; empty where it has nothing of the kind."""
    probes = LIBRARIES[library]()
    with tempfile.TemporaryDirectory() as folder:
        return {row: probes[row](Path(folder)) if row in probes else '' for row in ROWS}


def table() -> str:
    columns = {library: measured(library) for library in LIBRARIES}
    lines = [['', *columns], ['---'] * (len(columns) + 1)]
    lines += [[row, *(column[row] for column in columns.values())] for row in ROWS]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


if __name__ == '__main__':
    sys.stdout.write(table())
