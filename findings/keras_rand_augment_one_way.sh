#!/usr/bin/env bash
# keras 3.15.1: RandAugment turns images upside down, all one way, and is strong where its factor is 0.
#
# RandAugment(factor=0.5), the default, hands (0, 0.5) to every layer that it is made of. Each takes that as its own
# range. 1. A rotation of 0.5 is half a turn: angles from 0 to 180 degrees. The paper has 30 in both directions.
# 2. No layer gets a negative number: all images turn one way, move one way and become brighter, never darker.
# 3. Posterization keeps 8 * factor bits, one at least, solarization inverts what is above factor, and sharpness is a
# blur below 0.5. So these are strongest where factor is smallest. factor=0 still makes negatives, and pictures of one
# bit. A search over factor compares other things than strengths.
# RandomContrast by itself takes one side as well: RandomContrast(0.5) is documented as factors from 1 - 0.5 to 1 + 0.5
# and draws from 1 to 1.5. So a model sees no image of low contrast. RandomContrast((0.5, 0.5)) draws from both sides.
# Digits, letters and scenes with a sky suffer; nothing is said. The ranges are the same with every backend.
# Remedy: the layers one by one, with a tuple for each range.
#
# Output seen (400 images; a ramp of all 256 levels for the changes):
#   angles of the rotation, in degrees: (-179.97, -0.22)
#   change of the mean by brightness: (0.16, 125.52)
#   contrast, RandAugment: (1.0, 1.5)
#   contrast, RandomContrast(0.5): (1.0, 1.5)
#   contrast, RandomContrast((0.5, 0.5)): (0.5, 1.5)
#   factor 0.0: mean change in levels by posterization, solarization, sharpness: 63.5 128.0 41.4
#   factor 0.1: mean change in levels by posterization, solarization, sharpness: 63.5 123.5 37.3
#   factor 0.5: mean change in levels by posterization, solarization, sharpness: 35.9 116.0 20.9
#   factor 1.0: mean change in levels by posterization, solarization, sharpness: 16.6 121.1 17.8
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6 keras==3.15.1

KERAS_BACKEND=torch KERAS_HOME="$tmp/home" "$tmp/venv/bin/python" -W ignore - <<'PY'
import keras
import numpy as np
from keras import layers

COUNT = 400
SIZE = 33
keras.utils.set_random_seed(0)


def result(layer, image):
    """An image of one channel, COUNT times, after a layer."""
    images = np.repeat(image[None, ..., None].astype('float32'), COUNT, 0).repeat(3, -1)
    return keras.ops.convert_to_numpy(layer(images, training=True))[..., 0]


def span(values):
    return round(float(np.min(values)), 2), round(float(np.max(values)), 2)


default = layers.RandAugment(seed=0)
middle = SIZE // 2
spot = np.zeros((SIZE, SIZE))
spot[middle, middle + 8] = 255
turned = result(default.random_rotation, spot)
rows, columns = np.indices((SIZE, SIZE)) - middle
angles = [np.degrees(np.arctan2((image * rows).sum(), (image * columns).sum())) for image in turned]
print('angles of the rotation, in degrees:', span(angles))
ramp = np.arange(256.0).reshape(16, 16)
low_contrast = 100 + 40 * ramp / 255
brighter = [(image - low_contrast).mean() for image in result(default.random_brightness, low_contrast)]
print('change of the mean by brightness:', span(brighter))
both_sides = {
    'RandAugment': default.random_contrast,
    'RandomContrast(0.5)': layers.RandomContrast(0.5, seed=0),
    'RandomContrast((0.5, 0.5))': layers.RandomContrast((0.5, 0.5), seed=0),
}
contrasts = {}
for name, layer in both_sides.items():
    contrasts[name] = span([image.std() / low_contrast.std() for image in result(layer, low_contrast)])
    print(f'contrast, {name}:', contrasts[name])

changes = {}
for factor in (0.0, 0.1, 0.5, 1.0):
    augment = layers.RandAugment(factor=factor, seed=0)
    parts = augment.random_posterization, augment.solarization, augment.random_sharpness
    noise = np.random.default_rng(0).permutation(ramp.flatten()).reshape(16, 16)
    changes[factor] = [round(float(np.abs(result(part, noise) - noise).mean()), 1) for part in parts]
    print(f'factor {factor}: mean change in levels by posterization, solarization, sharpness:', *changes[factor])

assert (min(angles) > -1 or max(angles) < 1) and np.ptp(angles) > 150, 'the behaviour has changed'
assert min(brighter) >= 0 and max(brighter) > 20, 'the behaviour has changed'
assert contrasts['RandAugment'][0] > 0.99 and contrasts['RandomContrast(0.5)'][0] > 0.99, 'the behaviour has changed'
assert contrasts['RandomContrast((0.5, 0.5))'][0] < 0.6
for part in (0, 2):
    assert changes[0.0][part] > changes[1.0][part] + 10, 'the behaviour has changed'
assert changes[0.0][1] > 100, 'the behaviour has changed'
PY
