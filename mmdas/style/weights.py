"""Weights that others trained, from their files."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
RANDOM = 'random'


class StyleWeightsError(ValueError):
    """A file whose weights are not those of the network; the message says which ones go."""


def read_state(path: str | Path) -> State:
    """The tensors of a checkpoint by their names; nothing but tensors and plain values is loaded.

    Raises:
        FileNotFoundError: if there is no such file.
        StyleWeightsError: if it holds no weights.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    try:
        loaded = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        raise StyleWeightsError(f'{path} cannot be read as a checkpoint of PyTorch: {error}') from error
    state = loaded.get('state_dict', loaded) if isinstance(loaded, Mapping) else None
    found = {} if state is None else {strip(name): value for name, value in state.items() if torch.is_tensor(value)}
    if not found:
        raise StyleWeightsError(f'{path} holds no weights, but a {type(loaded).__name__}')
    return found


def strip(name: str) -> str:
    """A name without what a wrapper for several processes puts before it."""
    return name.removeprefix('module.')


def fill(network: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Load all weights of a network.

    Raises:
        StyleWeightsError: naming one that is missing, unknown, or of another shape.
    """
    own = network.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        what = f'lacks {missing[0]}' if missing else f'has {unknown[0]}, which the network has not'
        raise StyleWeightsError(f'{source} does not hold the weights of {type(network).__name__}: it {what}')
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise StyleWeightsError(
                f'{source}: {name} is of shape {tuple(state[name].shape)}, {type(network).__name__} has '
                f'{tuple(value.shape)}'
            )
    network.load_state_dict(dict(state))


def fill_by_name(
    network: nn.Module, weights: str | Path | None, translate: Callable[[State], State | None], known: str
) -> None:
    """Load a file, or draw random weights where the word ``'random'`` asks for them.

    Args:
        network: to fill.
        weights: file, or ``'random'``. None is refused, so that nobody uses random weights without knowing.
        translate: from the names of a file to those of the network; None where it knows no such names.
        known: the files that go, for messages.

    Raises:
        FileNotFoundError, StyleWeightsError: see :func:`read_state` and :func:`fill`; and for None.
    """
    if weights is None:
        raise StyleWeightsError(
            f"{type(network).__name__} needs weights: give {known}, or weights='random' for an untrained network"
        )
    if str(weights) == RANDOM:
        draw_weights(network)
        return
    translated = translate(read_state(weights))
    if translated is None:
        raise StyleWeightsError(f'{weights} is of no layout that {type(network).__name__} knows; it reads {known}')
    fill(network, translated, weights)


def draw_weights(network: nn.Module) -> None:
    """Draw the convolutions so that activations keep their scale (He et al., ICCV 2015), with zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
            if module.bias is not None:
                nn.init.zeros_(module.bias)
