#!/usr/bin/env bash
# onedl-mmengine 0.10.12: with min_delta=0 EarlyStoppingHook takes an unchanged score for a better one.
#
# EarlyStoppingHook is to stop a training whose metric has "reached a plateau". A score counts as no improvement only if
# it is worse than the best one plus min_delta.
# 1. With min_delta=0 a score that equals the best one starts the waiting anew. A training that predicts one class all
#    over has the same score in every validation, and so goes on to its last epoch; so does one whose score stays and
#    drops now and then. IoUMetric rounds to two digits, an accuracy counts images, so that equal scores are common. In
#    Keras and Lightning min_delta=0, their default, counts them as no improvement.
# 2. The default of min_delta is 0.1, not 0.01 as the documentation of the class says. It fits percentages. Metrics from
#    0 to 1 (the mAP of COCO, losses below 1) that rise by 0.01 in each validation are stopped after the sixth one.
# 3. The best score in the message is the last one that was better by min_delta, not the best one.
# Remedy: a min_delta that is set, above 0 and far below the steps of the metric: 1e-6.
#
# Output seen (stopped after validation, of 50; patience 5):
#   the same score each time:    min_delta=0 never, 1e-6 6, default 6
#   the best score now and then: min_delta=0 never, 1e-6 6, default 6
#   0.40, 0.41, 0.42, ...:       min_delta=0 never, 1e-6 never, default 6
#   default of min_delta:        0.1, documented: 0.01
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - <<'PY'
import inspect
import logging
import re
from types import SimpleNamespace

from mmengine.hooks import EarlyStoppingHook

VALIDATIONS = 50


def stopped(scores, **options):
    """After which validation the hook stops a training with these scores."""
    hook = EarlyStoppingHook(monitor='mIoU', patience=5, **options)
    runner = SimpleNamespace(train_loop=SimpleNamespace(stop_training=False), logger=logging.getLogger('test'))
    hook.before_run(runner)
    for count, score in enumerate(scores, 1):
        hook.after_val_epoch(runner, metrics={'mIoU': score})
        if runner.train_loop.stop_training:
            return count
    return 'never'


def show(name, scores):
    found = [stopped(scores, min_delta=0), stopped(scores, min_delta=1e-6), stopped(scores)]
    print(f'{name:28} min_delta=0 {found[0]}, 1e-6 {found[1]}, default {found[2]}')
    return found


same = show('the same score each time:', [4.76] * VALIDATIONS)
drops = show('the best score now and then:', [40.0 - 0.5 * (count % 4) for count in range(VALIDATIONS)])
rising = show('0.40, 0.41, 0.42, ...:', [0.4 + 0.01 * count for count in range(VALIDATIONS)])
default = inspect.signature(EarlyStoppingHook).parameters['min_delta'].default
documented = re.search(r'min_delta.*?Defaults to ([\d.]+\d)', EarlyStoppingHook.__doc__, re.S)[1]
print(f'default of min_delta:        {default}, documented: {documented}')
assert same[1:] == drops[1:] == [6, 6] and rising[:2] == ['never', 'never']
assert same[0] == drops[0] == 'never' and rising[2] == 6, 'the behaviour has changed'
assert (default, documented) == (0.1, '0.01'), 'the behaviour has changed'
PY
