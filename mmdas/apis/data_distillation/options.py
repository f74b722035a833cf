"""What a distillation of data takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdas.search.test_time import ViewPolicy, build_views

VIEWS = ('flip', 'size')  # those of the paper


@dataclass(frozen=True)
class DataDistillation:
    """Options of :func:`distill_data`.

    Args:
        views: groups of views beside the image, words of ``mmdas.search.test_time.GROUPS``, all of equal weight; empty:
            the image alone. Mirror images and sizes are the paper's.
        policy: a policy of views (file or policy) in place of ``views``.
        confidence: least probability of a label, from 0 to 1: images below it are left out, pixels below it get the
            label that does not count.
        batch_size: most images at a time.

    Raises:
        ValueError: if one is not usable, naming it.
    """

    views: Sequence[str] = VIEWS
    policy: str | Path | ViewPolicy | None = None
    confidence: float = 0.0
    batch_size: int = 1
    view_policy: ViewPolicy = field(init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f'--confidence is {self.confidence}, expected a probability from 0 to 1')
        if self.batch_size < 1:
            raise ValueError(f'--batch-size is {self.batch_size}, expected at least 1')
        policy = self.policy
        if policy is None:
            views = build_views(self.views)
            policy = ViewPolicy(views, tuple(1 / len(views) for _ in views))
        object.__setattr__(self, 'view_policy', policy if isinstance(policy, ViewPolicy) else ViewPolicy.load(policy))


@dataclass(frozen=True)
class DistilledSet:
    """Result of :func:`distill_data`.

    Args:
        folder: of the data set.
        dataset: its config.
        retrain: text of the config that trains on both data sets, which is written beside it.
        images: number of images.
        kept: number of those that have labels.
        classes: images of each class, or pixels in percent of all.
    """

    folder: Path
    dataset: dict[str, Any]
    retrain: str
    images: int
    kept: int
    classes: dict[str, float]
