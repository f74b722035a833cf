"""Models whose class is made at run time for as long as they have a teacher."""

from functools import cache
from typing import Any

from torch import nn

from mmdas.models.settings import Parent


class TaughtModel(Parent):
    """Base of a mixin that, before a host's class, makes the class of models with a teacher.

    The model keeps its parts, keys and modes. :func:`taught_class` makes the class, :func:`untaught` takes it back.
    """

    def __reduce_ex__(self, protocol: Any) -> tuple:
        """Copies say of which classes the one made at run time consists."""
        _, _, *state = super().__reduce_ex__(max(protocol, 2))
        return new_instance, type(self).__bases__, *state


@cache
def taught_class(mixin: Any, host: Any) -> type:
    """The class of a host's models with the mixin before it."""
    return type(f'{host.__name__}{mixin.__name__}', (mixin, host), {'__module__': mixin.__module__})


def untaught(model: Any) -> None:
    """Give a model the class of its host again."""
    model.__class__ = type(model).__bases__[1]


def new_instance(mixin: type, host: type) -> nn.Module:
    """A model without any state, as copies start from."""
    return nn.Module.__new__(taught_class(mixin, host))


def predicting_head(model: nn.Module, place: str) -> nn.Module:
    """The head of a model that predicts: at a place, or the last of a cascade's there."""
    head = getattr(model, place)
    return head[-1] if isinstance(head, nn.ModuleList) else head
