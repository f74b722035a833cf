#!/usr/bin/env bash
# scikit-learn 1.9.1: labels=range(4) keeps the ignored 255 out of confusion_matrix, but not out of jaccard_score.
#
# Label maps mark pixels that do not count with 255. scikit-learn has no ignore_index, so that labels=[0, 1, 2, 3] is
# taken for it. In confusion_matrix it is: pixels with another label are left out. In jaccard_score, f1_score and
# precision_score it chooses the classes to report, and the pixels stay: whatever a network says on an ignored pixel is
# a false positive of that class. So the IoU of the same arrays by jaccard_score is not that of confusion_matrix. The
# more is ignored, the lower the score. Without labels= it is worse: 255 becomes a class with the IoU 0, in the mean as
# well. recall_score is right with labels=. accuracy_score and balanced_accuracy_score have no such argument and count
# each ignored pixel, and 255 as a class that was never found.
# Remedy: keep = truth != 255, and all functions on truth[keep] and guess[keep].
#
# Output seen (four classes, a guess that is right on nine of ten labelled pixels, one fifth of all pixels is 255):
#   IoU by confusion_matrix: kept pixels 0.819, labels= 0.819
#   jaccard_score: kept pixels 0.819, labels= 0.667, neither 0.534
#   f1_score: kept pixels 0.900, labels= 0.800, neither 0.640
#   precision_score: kept pixels 0.900, labels= 0.720, neither 0.576
#   recall_score: kept pixels 0.900, labels= 0.900, neither 0.720
#   balanced_accuracy_score: kept pixels 0.900, neither 0.720
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 scikit-learn==1.9.1

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from sklearn import metrics

IGNORED, CLASSES = 255, [0, 1, 2, 3]
rng = np.random.default_rng(0)
truth = rng.integers(0, 4, 100_000)
guess = np.where(rng.random(truth.size) < 0.9, truth, (truth + 1) % 4)
truth[rng.random(truth.size) < 0.2] = IGNORED
keep = truth != IGNORED


def by_matrix(truth, guess):
    matrix = metrics.confusion_matrix(truth, guess, labels=CLASSES)
    hits = matrix.diagonal()
    return (hits / (matrix.sum(0) + matrix.sum(1) - hits)).mean()


scores = {
    'jaccard_score': metrics.jaccard_score,
    'f1_score': metrics.f1_score,
    'precision_score': metrics.precision_score,
    'recall_score': metrics.recall_score,
}
seen = {'IoU by confusion_matrix': [by_matrix(truth[keep], guess[keep]), by_matrix(truth, guess), None]}
for name, score in scores.items():
    seen[name] = [
        score(truth[keep], guess[keep], average='macro'),
        score(truth, guess, average='macro', labels=CLASSES),
        score(truth, guess, average='macro'),
    ]
balanced = metrics.balanced_accuracy_score
seen['balanced_accuracy_score'] = [balanced(truth[keep], guess[keep]), None, balanced(truth, guess)]
for name, (kept, with_labels, plain) in seen.items():
    texts = [f'kept pixels {kept:.3f}']
    texts += [f'labels= {with_labels:.3f}'] if with_labels is not None else []
    texts += [f'neither {plain:.3f}'] if plain is not None else []
    print(f'{name}: {", ".join(texts)}')

kept, with_labels, _ = seen['IoU by confusion_matrix']
assert kept == with_labels and abs(seen['jaccard_score'][0] - kept) < 1e-12
assert np.isclose(*seen['recall_score'][:2])
for name in ('jaccard_score', 'f1_score', 'precision_score'):
    kept, with_labels, plain = seen[name]
    assert with_labels < kept - 0.05 and plain < with_labels - 0.05, 'the behaviour has changed'
assert seen['balanced_accuracy_score'][2] < 0.8, 'the behaviour has changed'
PY
