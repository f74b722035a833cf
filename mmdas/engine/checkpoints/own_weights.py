"""Whether a checkpoint holds the weights of the model that predicts with them."""

import copy
from typing import Any

from torch import nn

from mmdas.models.settings import DifferenceError

# Parts that a model may have beyond a checkpoint: without effect on a prediction, or those that clips add to a plain
# model, whose checkpoint starts them as they are built.
OTHERS = ('auxiliary_head', 'fusion', 'temporal_pooling')


def require_weights(model: nn.Module, content: dict[str, Any], source: str) -> None:
    """Check that a checkpoint holds the parameters of a model in their shapes.

    MMEngine loads what fits and goes on; what does not fit keeps random weights. What a checkpoint has beyond the model
    does not count.

    Args:
        model: that predicts.
        content: of the checkpoint.
        source: where it is from, for the message.

    Raises:
        DifferenceError: naming the first parameter that is missing or of another shape.
    """
    state = {key.removeprefix('module.'): value for key, value in content.get('state_dict', content).items()}
    own = {name.removeprefix('module.'): value for name, value in model.named_parameters() if is_needed(name)}
    told = [f'it has no {name}' for name in own if name not in state]
    told += [
        f'its {name} is {tuple(state[name].shape)}, that of the model {tuple(value.shape)}'
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    if told and not loads(model, state):
        raise DifferenceError(
            f'{source} is a checkpoint of another model: {told[0]}{f", and {len(told) - 1} more" * (len(told) > 1)}; '
            'name the config of its training, or leave what does not fit at random weights by --accept-difference'
        )


def is_needed(name: str) -> bool:
    """Whether a prediction needs a parameter, and a checkpoint has to have it."""
    return not any(part.startswith(OTHERS) for part in name.split('.'))


def loads(model: nn.Module, state: dict[str, Any]) -> bool:
    """Whether the model itself takes the weights, under names that it knew earlier for instance."""
    inner = getattr(model, 'module', model)
    try:
        missing = copy.deepcopy(inner).load_state_dict(state, strict=False).missing_keys
    except RuntimeError:  # of another shape
        return False
    names = {name for name, _ in inner.named_parameters()}
    return not any(key in names and is_needed(key) for key in missing)
