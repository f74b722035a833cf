#!/usr/bin/env bash
# onedl-mmengine 0.10.12: MLflow and DVCLive keep the last image of a name alone; the step of the image is left out.
#
# Visualizer.add_image(name, image, step) is what the visualization hooks call after each validation, with the name of
# the image file and the step. LocalVisBackend and TensorBoard keep an image for each step. MLflowVisBackend documents
# the step as 'global step value to record', but hands MLflow the name alone; MLflow's own log_image() would take
# key=..., step=.... DVCLiveVisBackend calls it a useless parameter. So each validation overwrites the pictures of the
# one before: who logs them to see how the segmentation grows has those of the last step, after days of training. The
# scalars of all steps are kept.
# Remedy: LocalVisBackend beside it, or a step in the name that is given to add_image().
#
# Output seen (images of the gray levels 10, 20 and 30 at the steps 1, 2 and 3, all named 'val_a.png'):
#   LocalVisBackend: images [10, 20, 30]
#   MLflowVisBackend: images [30]
#   DVCLiveVisBackend: images [30]
#   MLflowVisBackend, scalars: [(1, 0.1), (2, 0.2), (3, 0.3)]
#   MLflowVisBackend, step in the name: images [10, 20, 30]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 pillow==13.0.0 onedl-mmengine==0.10.12 opencv-python-headless==5.0.0.93 \
    mlflow-skinny==3.17.2 dvclive==3.49.1
mkdir "$tmp/work"
cd "$tmp/work"
git init -q .
git -c user.name=name -c user.email=name@example.com commit -q --allow-empty -m first
export PATH="$tmp/venv/bin:$PATH" MLFLOW_ALLOW_FILE_STORE=true DVC_NO_ANALYTICS=1 MLFLOW_DISABLE_TELEMETRY=true
"$tmp/venv/bin/python" -W ignore - <<'PY' | grep VisBackend
from pathlib import Path

import numpy as np
from mmengine import Config
from mmengine.visualization import DVCLiveVisBackend, LocalVisBackend, MLflowVisBackend
from PIL import Image

Path('empty').mkdir()


def log(backend, name='val_a.png'):
    backend.add_config(Config({'work_dir': 'empty'}))
    for step in (1, 2, 3):
        image = np.full((8, 8, 3), 10 * step, np.uint8)
        backend.add_image(name.format(step=step), image, step)
        backend.add_scalar('mIoU', step / 10, step)
    backend.close()


def images(title, folder):
    levels = sorted(Image.open(path).getpixel((0, 0))[0] for path in Path(folder).rglob('*.png'))
    print(f'{title}: images {levels}')
    return levels


log(LocalVisBackend('local'))
assert images('LocalVisBackend', 'local') == [10, 20, 30]
log(MLflowVisBackend('mlflow'))
assert images('MLflowVisBackend', 'mlflow') == [30], 'the behaviour has changed'
log(DVCLiveVisBackend('dvclive', init_kwargs={'save_dvc_exp': False}))
assert images('DVCLiveVisBackend', 'dvclive') == [30], 'the behaviour has changed'
lines = next(Path('mlflow').rglob('metrics/mIoU')).read_text().splitlines()
scalars = [(int(step), float(value)) for _, value, step in map(str.split, lines)]
print('MLflowVisBackend, scalars:', scalars)
assert scalars == [(1, 0.1), (2, 0.2), (3, 0.3)]
log(MLflowVisBackend('named'), 'val_a_{step}.png')
assert images('MLflowVisBackend, step in the name', 'named') == [10, 20, 30]
PY
