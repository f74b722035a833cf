"""Labels that no class stands for, found before they reach the loss."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.engine.utils import unwrap
from mmdas.registry import HOOKS


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Stop with the file's name when a label lies outside the classes of the head.

    Before the iteration: the labels are still on the CPU, so that looking at them costs no synchronisation, and a GPU
    would answer with a device-side assertion that names nothing.

    Raises:
        ValueError: naming the label, the classes and the image.
    """

    def before_policy_batch(self, runner: Runner, data_batch: dict | None) -> None:
        """Check a batch of the policy part; the search loop calls this, MMEngine has no such place."""
        self._before_iter(runner, 0, data_batch)

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None, mode: str = 'train') -> None:
        """Check all labels of a batch, which MMEngine's Hook passes on before every kind of iteration."""
        head = _main_head(unwrap(runner.model))
        num_classes = getattr(head, 'num_classes', None)
        if num_classes and isinstance(data_batch, dict):
            for sample in data_batch.get('data_samples') or ():
                check_labels(sample, num_classes, getattr(head, 'ignore_index', 255))


def check_labels(sample: Any, num_classes: int, ignore_index: int = 255) -> None:
    """Check the labels of one data sample of MMSegmentation or MMPretrain against classes 0 .. num_classes - 1."""
    if 'gt_sem_seg' in sample:
        labels, ignored = sample.gt_sem_seg.data, ignore_index
        num_classes = max(num_classes, 2)  # a binary head of one channel has two labels
    elif 'gt_label' in sample:
        labels, ignored = sample.gt_label, None
    else:
        return
    outside = (labels < 0) | (labels >= num_classes)
    if ignored is not None:
        outside = outside & (labels != ignored)
    if outside.any():
        wrong = torch.unique(labels[outside]).tolist()
        raise ValueError(
            f'labels {wrong} of {sample.get("seg_map_path", sample.get("img_path", "an image"))} lie outside the '
            f"{num_classes} classes 0..{num_classes - 1}; correct num_classes of the head or the data set's labels"
        )


def _main_head(model: torch.nn.Module) -> Any:
    head = getattr(model, 'decode_head', getattr(model, 'head', None))
    return head[-1] if isinstance(head, torch.nn.ModuleList) else head
