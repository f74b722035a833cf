"""Which classes the labels of a data set hold."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce

from .label_checks import host_of_labels, label_map, missing_classes, sample_file


class LabelTally:
    """Ticks off classes as they come, and names those that never came.

    Args:
        classes: names or numbers of the classes.
        images: after so many of them, in this process, the tally ends.
    """

    def __init__(self, classes: Sequence[str | int], images: int) -> None:
        self.classes = list(classes)
        self.images = images
        self._seen = 0
        self._present = torch.zeros(len(self.classes), dtype=torch.int64)

    def add(self, sample: Any) -> str | None:
        """Look at one data sample with labels within the classes or ignored.

        Returns:
            The warning, after the last image, if a class never came. In a distributed run all processes come here at
            the same image, and the classes of all count.
        """
        host = host_of_labels(sample)
        if host is None or self._seen >= self.images:
            return None
        labels = host.labels(sample)
        self._seen += 1
        if not self._present.all():
            count = len(self.classes)
            numbers = labels.flatten().long().clamp(-1, count) + 1  # what is ignored falls into the first and last
            self._present |= (torch.bincount(numbers.cpu(), minlength=count + 2)[1 : count + 1] > 0).long()
        return self._report(sample) if self._seen == self.images else None

    def _report(self, sample: Any) -> str | None:
        all_reduce(self._present)
        missing = [name for name, present in zip(self.classes, self._present.tolist(), strict=True) if not present]
        if not missing:
            return None
        what = 'label' if label_map(sample) is None else 'pixel'
        return missing_classes(missing, f'{what} in the first {self.images} images, the last {sample_file(sample)}')
