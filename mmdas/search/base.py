"""What a method gives a search: parameters to train, numbers for the log, and a policy at the end."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import nn


class SearchedPolicy(Protocol):
    """What a search ends with. :func:`mmdas.search.load_policy` reads its file."""

    def save(self, path: str | Path) -> None:
        """Write the policy as a JSON file; its field ``kind`` names the method, see :func:`register_policy`."""


class Searchable(nn.Module, ABC):
    """A module whose policy a search trains on held-out batches, while the rest of the model learns the task.

    It lies anywhere in the model, as an attribute that may be None: the network then sees the data as they are. The
    search loop, the optimiser constructor and the hooks know a method by this class.
    """

    def policy_parameters(self) -> list[nn.Parameter]:
        """What the optimiser of the policy steps. Default: all parameters of the module."""
        return list(self.parameters())

    def policy_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Groups of :meth:`policy_parameters` with what multiplies the learning rate of each. Default: one, by 1."""
        return [(self.policy_parameters(), 1.0)]

    def note_progress(self, progress: float) -> None:
        """Hear, after each iteration, which part of the search is done, in (0, 1]. Default: nothing comes of it."""

    @abstractmethod
    def report(self) -> dict[str, float]:
        """Numbers that show how the policy forms, such as ``{'rotate/probability': 0.3}``. Names are free."""

    @abstractmethod
    def to_policy(self, origin: Mapping | None = None) -> SearchedPolicy:
        """The policy as it stands.

        Args:
            origin: where it comes from, for the file: config, data, seed, date, search cost.
        """

    def check_search(self, selected: bool) -> None:
        """Refuse a search that would not end in a policy, before it starts. Default: every search is taken.

        Args:
            selected: whether the search has a selection, which makes discrete decisions after the training.

        Raises:
            ValueError: naming the setting and the remedy.
        """
