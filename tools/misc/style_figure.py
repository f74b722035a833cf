"""Draw the picture of docs/style.md: textures of random features, and digits in the colours of textures."""

import argparse
from pathlib import Path

import numpy as np
import torch

from mmdas.datasets import ShapeTextureDigits
from mmdas.datasets.shape_texture import digits_of, draw_digit, draw_texture
from mmdas.style import VGG19, ColourStatistics, synthesize_texture
from mmdas.visualization.image_grid import new_image_grid, save_small

LAYERS = ('relu1_1', 'relu2_1', 'relu3_1')
COLUMNS = ('stripes', 'checks', 'digits', 'dots')
ROWS = ('texture', 'synthesised', 'digit', 'in its colours')


def textures(size: int) -> list[torch.Tensor]:
    """Four textures (1, 3, size, size) in [0, 1], drawn here."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    stripes = 128 + 4 * draw_texture(rng, 6, size)
    checks = 128 + 80 * (np.sin(columns / 2.2) * np.sin(rows / 3.1))[..., None] * np.array([1, 0.4, -0.6])
    dots = np.array([40, 90, 60]) + 150 * (np.sin(columns / 2.5 + np.sin(rows)) * np.sin(rows / 2.5) > 0.5)[..., None]
    return [as_image(value) for value in (stripes, checks, scattered_digits(rng, size), dots)]


def scattered_digits(rng: np.random.Generator, size: int) -> np.ndarray:
    """Handwritten threes all over."""
    digits, values = digits_of('train', 0)
    threes, ink = np.flatnonzero(values == 3), np.zeros((size, size))
    for _ in range(size * size // 60):
        row, column = rng.integers(0, size - 14, 2)
        drawn = draw_digit(rng, digits[rng.choice(threes)], 14)
        ink[row : row + 14, column : column + 14] = np.maximum(ink[row : row + 14, column : column + 14] * 0.4, drawn)
    return np.array([60, 50, 110]) + ink[..., None] * np.array([180, 140, -20])


def as_image(values: np.ndarray) -> torch.Tensor:
    """Values (H, W, 3) in 0..255 -> (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(values.clip(0, 255) / 255).permute(2, 0, 1)[None].float()


def draw(path: Path, size: int, iterations: int) -> None:
    """Draw the picture and write it with few colours, which keeps it small."""
    torch.manual_seed(0)
    network, colours = VGG19('random', pooling='average'), ColourStatistics()
    dataset = ShapeTextureDigits('test', cues=['shape'], per_class=1, size=size)
    grid = []
    for number, texture in enumerate(textures(size)):
        made = synthesize_texture(texture, network, layers=LAYERS, iterations=iterations)
        print(f'{COLUMNS[number]}: loss {made.losses[0]:.3g} -> {made.losses[-1]:.3g}', flush=True)
        digit = as_image(dataset.get_data_info(number + 2)['img'].astype(float))
        grid.append((texture, made.image, digit, colours.stylize(digit, colours.statistics(texture))))
    figure, plots = new_image_grid(ROWS, COLUMNS, 1.0)
    for column, images in enumerate(grid):
        for row, image in enumerate(images):
            plots[row, column].imshow(image[0].permute(1, 2, 0).numpy(), interpolation='nearest')
    save_small(figure, path, dpi=100, colours=128)


def main() -> None:
    """Draw what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('docs/images/style.png'), help='default: %(default)s')
    parser.add_argument('--size', type=int, default=64, help='pixels (default: %(default)s)')
    parser.add_argument('--iterations', type=int, default=60, help='of each texture (default: %(default)s)')
    args = parser.parse_args()
    draw(args.out, args.size, args.iterations)


if __name__ == '__main__':
    main()
