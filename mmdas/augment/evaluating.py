"""The network of a training in evaluation mode, for a moment and without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OFF = ('training', 'with_cp')  # of a module, while its network is looked at


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The network of a model in evaluation mode; each module gets its own mode back, as frozen norms have theirs.

    The data preprocessor keeps its mode: it makes the clips that the training step will see. Blocks of the toolboxes
    that compute their activations twice to save memory (``with_cp``) keep them: PyTorch gives no gradient of images
    through the reentrant kind. Parts are told by their ``eval()``, in which LeViT and others make what they then need.

    Args:
        model: of a toolbox, without a distributed wrapper.
    """
    others = set(model.data_preprocessor.modules())
    modules = [module for module in model.modules() if module not in others]
    states = [{name: vars(module)[name] for name in OFF if name in vars(module)} for module in modules]
    try:
        for part in model.children():
            if part not in others:
                part.eval()
        for module, state in zip(modules, states, strict=True):
            vars(module).update(dict.fromkeys(state, False))
        yield
    finally:
        for module, state in zip(modules, states, strict=True):
            vars(module).update(state)
