"""Which heads of MMPretrain learn from the scores of several classes, as mixed images have them."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CLASSES = 5  # of the trial
LOGITS = torch.tensor([[3.0, 0.0, -3.0, -2.0, -1.0]])
CLOSE = 1e-5

# Head -> why scores of several classes are nothing to it.
HEADS = {
    'MultiTaskHead': 'learns labels of several tasks',
    'ArcFaceClsHead': 'moves the margin of one class only',
    'RegressionHead': 'learns numbers, not classes',
}


def reason_against_scores(head: Any) -> str | None:
    """Why a head does not learn from samples with ``gt_score``; None where it does.

    Its loss is tried on a few numbers, so that losses of others are judged, too.

    Args:
        head: a head of a classifier, built.

    Returns:
        The reason, with the remedy.
    """
    name = type(head).__name__
    kinds = {kind.__name__ for kind in type(head).__mro__}
    for kind, reason in HEADS.items():
        if kind in kinds:
            return f'{name} {reason}; take a head of one label, such as LinearClsHead'
    loss = getattr(head, 'loss_module', None)
    if not callable(loss):
        return f'{name} has no loss of class scores; only heads of classifiers have one'
    if getattr(head, 'cal_acc', False):
        return f'{name} compares with one class while it trains; set model.head.cal_acc=False'
    found = reason_of_loss(loss)
    if found is None and 'MultiLabelClsHead' in kinds and changes_with_all_logits(loss):  # a softmax is for one label
        return f'{name} learns labels that do not exclude each other; take a head of one label, such as LinearClsHead'
    return found and f"{found}; set model.head.loss=dict(type='CrossEntropyLoss')"


def reason_of_loss(loss: Any) -> str | None:
    """Why a loss of logits (N, K) does not learn from scores (N, K); None where it does.

    Of what is asked for: single scores are worth what a class is, other shares give another loss, and a class with half
    of the scores is pulled down where it is far ahead.
    """
    name = type(loss).__name__
    trial = with_classes(loss)
    half = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]])
    most = torch.tensor([[0.8, 0.2, 0.0, 0.0, 0.0]])
    logits = LOGITS.clone().requires_grad_()
    try:
        with torch.enable_grad():
            (pull,) = torch.autograd.grad(value(trial, logits, half), logits)
        shares = [float(value(trial, LOGITS, scores)) for scores in (most, most.flip(1).roll(2, 1))]
    except Exception as error:  # of any kind: a loss of labels fails as it likes
        return f'{name} takes no scores ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ""})'
    if abs(shares[0] - shares[1]) < CLOSE or not pull[0, 0] > pull[0, 1] + CLOSE:
        return f'{name} does not heed the shares of the classes'
    if differs_on_labels(trial):
        return f'{name} makes something else of the scores 1 and 0 than of the label'
    return None


def changes_with_all_logits(loss: Any) -> bool:
    """Whether a loss is another one where all logits are higher, as one of labels that may go together."""
    trial, scores = with_classes(loss), F.one_hot(torch.tensor([1]), CLASSES).float()
    return not torch.allclose(value(trial, LOGITS, scores), value(trial, LOGITS + 1, scores), atol=CLOSE)


def differs_on_labels(loss: Any) -> bool:
    """Whether scores of a single class give another loss than its label; not for a loss that takes no labels."""
    labels, logits = torch.tensor([1, 3]), torch.cat([LOGITS, LOGITS.flip(1)])  # of one a wrong loss could broadcast
    try:
        expected = value(loss, logits, labels)
    except Exception:
        return False
    scores = F.one_hot(labels, CLASSES).float()
    return not torch.allclose(value(loss, logits, scores), expected, atol=CLOSE)


def value(loss: Any, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of a batch, as heads call it."""
    return loss(logits, target, avg_factor=len(logits)).sum()


def with_classes(loss: Any) -> Any:
    """A copy of a loss on the CPU for the classes of the trial."""
    trial = copy.deepcopy(loss).cpu()
    for part in trial.modules():
        if getattr(part, 'num_classes', None) is not None:
            part.num_classes = CLASSES
        for option in ('class_weight', 'pos_weight'):
            if isinstance(getattr(part, option, None), (list, tuple)):
                setattr(part, option, [1.0] * CLASSES)
    return trial
