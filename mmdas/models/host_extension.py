"""A module of a toolbox that does more: its class is made at run time, as ``torch.nn.utils.parametrize`` does."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmdas.registry import MODELS

from .settings import Parent


class HostExtension(Parent):
    """Mixin of a class whose instances are modules of a host with a part added.

    ``__new__`` of a subclass builds the host, makes the part and calls :meth:`extend`. That gives the host a subclass
    of the extension and of its own class. The module stays an instance of its class and keeps its keys. The methods
    that the extension changes are ordinary overrides.

    The part keeps what is its own, whatever the host does to all modules below it. The host's ``init_weights`` leaves
    the start state of the part; only a checkpoint that it loads, such as that of
    ``init_cfg=dict(type='Pretrained')``, brings other values. The part has the mode that ``train`` is called with.

    Attributes:
        part_name: name of the part below the host.
    """

    part_name: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Leave the module as ``__new__`` has made it."""

    @classmethod
    def extend(cls, host: nn.Module) -> Any:
        """Give a host's module the class that extends its own.

        Raises:
            ValueError: if the module is extended already.
        """
        if isinstance(host, HostExtension):
            raise ValueError(f'{type(host).__name__} already takes frames; use {cls.__name__} only once')
        host.__class__ = extended_class(cls, type(host))  # type: ignore[arg-type]  # classes are hashable
        return host

    @property
    def part(self) -> Any:
        """What is added."""
        return getattr(self, type(self).part_name)

    @property
    def num_frames(self) -> Any:
        """T; None as long as it is not known."""
        return self.part.num_frames

    def train(self, mode: bool = True) -> 'HostExtension':
        """As of the host, but the part has the mode itself."""
        super().train(mode)
        self.part.train(mode)
        return self  # which ``train`` of MMSegmentation's ResNet forgets

    @torch.no_grad()
    def init_weights(self, *args: Any, **kwargs: Any) -> None:
        """As of the host, but the part starts as its own ``init_weights`` says, or as a loaded checkpoint does."""
        if not getattr(self, 'is_init', False):  # otherwise it may be trained, and MMEngine's modules do nothing
            self.part.init_weights()
        kept = {name: tensor.clone() for name, tensor in self.part.state_dict().items()}

        def keep_loaded(state_dict: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
            for name, tensor in kept.items():
                loaded = state_dict.get(prefix + name)
                if loaded is not None and loaded.shape == tensor.shape:  # MMEngine leaves other shapes out
                    kept[name] = loaded.clone()

        handle = self.part._register_load_state_dict_pre_hook(keep_loaded)
        try:
            getattr(super(), 'init_weights', lambda: None)(*args, **kwargs)
        finally:
            handle.remove()
        for name, tensor in self.part.state_dict().items():
            tensor.copy_(kept[name])

    def __reduce_ex__(self, protocol: Any) -> tuple:
        """Copies and pickles say of which two classes the one made at run time consists."""
        _, _, *state = super().__reduce_ex__(max(protocol, 2))
        return new_instance, type(self).__bases__, *state


def build_host(host: Mapping | nn.Module) -> nn.Module:
    """The module of a config; a module passes."""
    return host if isinstance(host, nn.Module) else MODELS.build(host)


@cache
def extended_class(extension: Any, host: Any) -> type:
    """The class that extends a host's class, one for each pair."""
    own = {'__module__': extension.__module__, '__doc__': extension.__doc__}
    added = extension.part_name.title().replace('_', '')
    return type(f'{host.__name__}With{added}', (extension, host), own)


def new_instance(extension: type, host: type) -> nn.Module:
    """An instance without any state, as copies and pickles start from."""
    return nn.Module.__new__(extended_class(extension, host))
